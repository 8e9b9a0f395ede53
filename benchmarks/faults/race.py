"""Two gateways on one ledger and a key whose budget is a hundred requests' worth: what the upstream bills decides."""

from __future__ import annotations

import asyncio
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from load import Endpoint, ask, split
from servers import Server, create_key, mock, serving, target
from wire import OUTPUT_TOKENS, PLAIN, request

from forethought.bench import Figure
from forethought.errors import UpstreamError

AFFORDED = 100
CLIENTS, EACH = 64, 50
"""Clients that start together, and the requests of each, one after the other."""
PRICES = "{ input = 0, output = 1000 }"
COST_USD = OUTPUT_TOKENS * 1e-3
"""Of one answer: its prompt is free, so that the reservation is known beforehand."""
LOOSE = 4
"""How many answers' worth the second race reserves for each, as clients do that leave room."""

_DENIED = (402, 429)


def race_figures(races: int, folder: Path) -> dict[str, Figure]:
    """Requests that were billed beyond the budget, in the worst of several races, and those that were answered.

    In the exact race a request reserves what it costs: a hundred must be answered, no more and no fewer. In the loose
    one it reserves four times as much.
    """
    ledger, config = f"sqlite:///{folder / 'ledger.sqlite'}", folder / "gateway.toml"
    with mock() as upstream:
        config.write_text(target(PLAIN, upstream.endpoint.port, PRICES))
        create_key(ledger, "bench", 1.0)  # the two start on a ledger that is there
        with serving(config, ledger, "") as first, serving(config, ledger, "") as second:
            runners = [first, second]
            exact = [_race(ledger, upstream, runners, OUTPUT_TOKENS) for _ in range(races)]
            loose = [_race(ledger, upstream, runners, OUTPUT_TOKENS * LOOSE) for _ in range(races)]
    asked = CLIENTS * EACH * races
    answered, billed = zip(*exact, strict=True)
    return {
        "budget_overrun": Figure(max(0, *(most - AFFORDED for _, most in (*exact, *loose))), n=2 * asked).at_most(0),
        "budget_answered": Figure(min(answered), min(answered), max(answered), asked).at_least(AFFORDED),
        "budget_answered_loose": Figure(min(a for a, _ in loose), n=asked),
        "billed_unanswered": Figure(sum(billed) - sum(answered), n=asked).at_most(0),
    }


def _race(ledger: str, upstream: Server, gateways: list[Server], max_tokens: int) -> tuple[int, int]:
    """Answered and billed requests of one race; one that midnight ran through is run again with a new key."""
    while True:
        day = datetime.now(UTC).date()
        key = create_key(ledger, "race", AFFORDED * COST_USD)
        before = _billed(upstream)
        endpoints = [Endpoint(gateway.endpoint.port, key) for gateway in gateways]
        answered = uvloop.run(_all_clients(endpoints, request(PLAIN, key, max_tokens=max_tokens)))
        if datetime.now(UTC).date() == day:
            return answered, _billed(upstream) - before


async def _all_clients(endpoints: list[Endpoint], message: bytes) -> int:
    clients = [_client(endpoints[i % len(endpoints)], message) for i in range(CLIENTS)]
    return sum(await asyncio.gather(*clients))


async def _client(endpoint: Endpoint, message: bytes) -> int:
    answered = 0
    for _ in range(EACH):
        status, body = split(await ask(endpoint, message))
        if status != 200 and status not in _DENIED:
            raise UpstreamError(f"a request beyond a budget got {status}: {body[:300]!r}")
        answered += status == 200
    return answered


def _billed(upstream: Server) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{upstream.endpoint.port}/served") as reply:
        return int(reply.read())
