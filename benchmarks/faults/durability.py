"""kill -9 of a whole gateway under load, again and again: what a client was told stands in the ledger."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from http_client import get
from load import Endpoint, ask, ended, split
from records import problems_of, visit
from servers import Server, create_key, mock, serving, target
from wire import OUTPUT_TOKENS, PLAIN, Pace, request

from forethought.bench import Figure

CONNECTIONS = 8
SHORTEST, LONGEST = 0.05, 0.5
"""Seconds of load before a kill, drawn evenly."""
ASKED_AGAIN = 16
"""Decisions looked up over HTTP after each restart: the last that were acknowledged."""
STREAM = Pace(3, 0.0).model
COST = OUTPUT_TOKENS * 1_000_000
PRICES = "{ input = 0, output = 1000 }"
"""A token costs `COST` nanodollars, and a prompt nothing."""

_DECISION = re.compile(rb"\r\nx-forethought-decision: *([^\r\n]+)", re.IGNORECASE)


@dataclass(slots=True)
class Tally:
    """What was seen over all kills.

    Attributes:
        acknowledged: Decisions whose answers arrived whole.
        missing: Of those asked for again over HTTP, the ones that the gateway did not know as answered.
        restarts: Seconds from a start to the first answer.
    """

    acknowledged: list[str] = field(default_factory=list)
    missing: int = 0
    restarts: list[float] = field(default_factory=list)


def durability_figures(points: int, folder: Path, seed: int) -> dict[str, Figure]:
    """Kill a gateway at so many random points under load."""
    draw, tally = random.Random(seed), Tally()
    config, path = folder / "gateway.toml", folder / "ledger.sqlite"
    ledger = f"sqlite:///{path}"
    with mock() as upstream:
        config.write_text("\n".join(target(model, upstream.endpoint.port, PRICES) for model in (PLAIN, STREAM)))
        key = create_key(ledger, "bench", 1e6)
        for _ in range(points):
            _one_life(config, ledger, key, tally, draw.uniform(SHORTEST, LONGEST))
        with serving(config, ledger, key) as server:  # the last kill's restart
            _ask_again(server, tally)
    found = problems_of(path, tally.acknowledged, COST)
    restarts = sorted(tally.restarts)
    return {
        "acknowledged_lost": Figure(max(found["lost"], tally.missing), n=len(tally.acknowledged)).at_most(0),
        "recorded_twice": Figure(found["twice"], n=len(tally.acknowledged)).at_most(0),
        "ledger_damaged": Figure(found["damaged"], n=points).at_most(0),
        "restart_seconds": Figure(restarts[len(restarts) // 2], restarts[0], restarts[-1], len(restarts)),
    }


def _one_life(config: Path, ledger: str, key: str, tally: Tally, seconds: float) -> None:
    start = time.monotonic()
    with serving(config, ledger, key) as server:
        tally.restarts.append(time.monotonic() - start)
        _ask_again(server, tally)
        tally.acknowledged += uvloop.run(_until_killed(server, seconds, ledger))


def _ask_again(server: Server, tally: Tally) -> None:
    for id in tally.acknowledged[-ASKED_AGAIN:]:
        decision = get(server.endpoint.port, f"/v1/decisions/{id}", server.endpoint.key)
        tally.missing += decision is None or decision["ending"] != "ok" or decision["cost"] != COST


async def _until_killed(server: Server, seconds: float, ledger: str) -> list[str]:
    """Ask on every connection until the process is killed; decisions whose answers arrived whole.

    On the way another process opens the ledger and closes it, as `forethought keys` does.
    """
    acknowledged: list[str] = []
    clients = [asyncio.create_task(_client(server.endpoint, i % 2 == 1, acknowledged)) for i in range(CONNECTIONS)]
    await asyncio.sleep(seconds / 2)
    visit(Path(ledger.removeprefix("sqlite:///")))
    await asyncio.sleep(seconds / 2)
    server.process.kill()
    await asyncio.gather(*clients)
    return acknowledged


async def _client(endpoint: Endpoint, stream: bool, acknowledged: list[str]) -> None:
    model = STREAM if stream else PLAIN
    message = request(model, endpoint.key, stream=stream, usage=stream, max_tokens=OUTPUT_TOKENS)
    while True:
        try:
            raw = await ask(endpoint, message)
        except OSError:  # nobody listens any more
            return
        if acknowledges(raw) and (id := _DECISION.search(raw)):
            acknowledged.append(id[1].decode())


def acknowledges(raw: bytes) -> bool:
    """Whether an answer arrived whole as a success: its body to the end, a stream's `[DONE]` too."""
    status, body = split(raw)
    if status != 200 or not ended(raw):
        return False
    return body.endswith(b"data: [DONE]\n\n") or not body.startswith((b"data:", b":"))
