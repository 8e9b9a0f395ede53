"""The same over a real server: connections are shared, and closed for answers that nobody waits for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from forethought.gateway.base import Account, Delivery, Plan
from forethought.gateway.config import GatewayConfig
from forethought.gateway.execution import Executor, upstreams_of
from forethought.gateway.upstreams import Failover

VOTE = {"rule": "majority", "setting": {"cap": 3}, "width": 3}


def deliver(
    sse: Any, kit: Any, request: Any, plan: Plan, seconds: float = 5.0, **target: Any
) -> tuple[Any, bytes, Account]:
    entry = {"name": "a", "model": "m", "base_url": sse.url, "prices": {"input": 1, "output": 1}, **target}
    config = GatewayConfig.model_validate({"target": [entry], "retries": {"attempts": 1}})
    account = Account()

    async def work() -> tuple[Delivery | None, bytes]:
        upstreams = upstreams_of(config)
        executor = Executor(config, upstreams, Failover(config.timeouts, config.retries, config.breaker))
        try:
            async with asyncio.timeout(seconds):
                delivery = await executor.deliver(request, plan, account)
                pieces = [] if delivery.pieces is None else [piece async for piece in delivery.pieces]
                return delivery, (delivery.body or b"") + b"".join(pieces) + delivery.last
        except TimeoutError:
            return None, b""
        finally:
            for upstream in upstreams.values():
                await upstream.aclose()

    return *asyncio.run(work()), account


def test_a_vote(sse: Any, script: Any, kit: Any) -> None:
    sse.scripts = [script("it is 4"), script("5"), script("so 4")]
    delivery, read, account = deliver(sse, kit, kit.request(tools=None), kit.plan("a"), vote=VOTE)
    assert delivery.headers["x-forethought-votes"] == "3"
    assert len(account.attempts) == 3
    assert json.loads(read)["usage"]["prompt_tokens"] == 33


def test_a_stream_and_its_usage(sse: Any, script: Any, kit: Any) -> None:
    sse.scripts = [script("one two three")]
    _, read, account = deliver(sse, kit, kit.request(stream=True), kit.plan("a"))
    chunks = kit.events(read)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "one two three"
    assert (account.attempts[0].output_tokens, account.ending) == (4, "ok")


@pytest.mark.parametrize("more", [{"vote": VOTE}, {}])
def test_a_client_that_hangs_up_closes_its_connections(sse: Any, script: Any, kit: Any, more: Any) -> None:
    sse.scripts = [script("a b c d e f g h", pause=0.05)]
    delivery, _, account = deliver(sse, kit, kit.request(stream=True), kit.plan("a"), seconds=0.2, **more)
    assert delivery is None
    assert sse.wait_gone(3 if more else 1)
    assert {attempt.error for attempt in account.attempts} == {"cancelled"}
    assert all(0 < attempt.output_tokens < 8 for attempt in account.attempts)
