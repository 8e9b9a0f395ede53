"""Asks upstreams through the failover, and reads what came as a client would."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from faults import BREAKER, RETRIES, TIMEOUTS, Seen

from forethought.core import Prices
from forethought.gateway.base import Account, Delivery
from forethought.gateway.config import Breaker, Retries, Timeouts
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams import Failover, HttpUpstream, Rung, UpstreamFailure, UpstreamRequest

PRICES = Prices(1.0, 2.0)


@asynccontextmanager
async def upstreams(*providers: Any, **timeouts: float) -> AsyncIterator[list[HttpUpstream]]:
    """One upstream a provider, closed at the end."""
    opened = [HttpUpstream(p.url, timeouts=Timeouts(**{**TIMEOUTS, **timeouts})) for p in providers]
    try:
        yield opened
    finally:
        for upstream in opened:
            await upstream.aclose()


def failover(**settings: Any) -> Failover:
    """A failover of the faults' settings, some replaced."""

    def section(kind: Any, defaults: dict[str, Any]) -> Any:
        return kind(**{**defaults, **{name: settings[name] for name in kind.model_fields if name in settings}})

    parts = (section(Timeouts, TIMEOUTS), section(Retries, RETRIES), section(Breaker, BREAKER))
    return Failover(*parts, **{name: settings[name] for name in ("clock", "sleep") if name in settings})


def rung(upstream: Any, target: str, model: str, stream: bool = False, **body: Any) -> Rung:
    body = {"model": model, "messages": [{"role": "user", "content": "hello there"}], "stream": stream, **body}
    if stream:
        body["stream_options"] = {"include_usage": True}
    request = UpstreamRequest("/chat/completions", json.dumps(body).encode(), stream)
    return Rung(target, upstream, request, PRICES, context=100)


async def read(delivery: Delivery, seen: Seen) -> None:
    if delivery.pieces is None:
        body = json.loads(delivery.body or b"")
        seen.error = body.get("error", {})
        if not seen.error:
            seen.text, seen.done = body["choices"][0]["message"]["content"], True
        return
    got = b""
    try:
        async for piece in delivery.pieces:
            got += piece
        got += delivery.last
    except UpstreamFailure:
        seen.failed = True
    for event in got.decode().split("\n\n"):
        data = event.removeprefix("data: ")
        if data == "[DONE]":
            seen.done = True
        elif data:
            choices = json.loads(data)["choices"]
            seen.text += (choices[0]["delta"].get("content") or "") if choices else ""


async def ask(failover: Failover, rungs: Sequence[Rung]) -> tuple[Seen, Account]:
    account, started, seen = Account(), time.monotonic(), Seen(200)
    try:
        delivery = await failover.deliver(rungs, account)
        seen.status = delivery.status
        await read(delivery, seen)
    except Problem as problem:
        seen.status, seen.error = problem.status, problem.error
    seen.seconds = time.monotonic() - started
    seen.accounted = len(account.attempts)
    seen.charged = sum(attempt.output_tokens for attempt in account.attempts)
    return seen, account
