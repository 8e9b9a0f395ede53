"""Many requests at once against upstreams that fail a lot, all the time, or come back."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter

import pytest
from asking import ask, failover, rung, upstreams

from forethought.gateway.base import Account
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams import Failover, Rung, UpstreamFailure


async def storm(survivor: Failover, rungs: list[Rung], requests: int, together: int = 32) -> list[int]:
    """Statuses of so many requests, so many at a time; an answer that is not whole counts as 0."""
    statuses: list[int] = []

    async def client() -> None:
        while len(statuses) < requests:
            statuses.append(-1)
            at = len(statuses) - 1
            seen, account = await ask(survivor, rungs)
            statuses[at] = seen.status if seen.status != 200 or seen.done else 0
            assert seen.accounted == len(account.attempts)

    async with asyncio.TaskGroup() as group:
        for _ in range(together):
            group.create_task(client())
    return statuses


@pytest.mark.parametrize(("requests", "patience"), [(400, 0.7), pytest.param(2000, 2.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("share", [30, 100])
def test_one_of_two_upstreams_fails_and_no_client_sees_it(requests, patience, share, provider, other_provider):
    async def main():
        async with upstreams(provider, other_provider, connect=5) as (first, second):
            survivor = failover(first_token=patience, total=30, base=0.005, rest=0.3)
            rungs = [rung(first, "flaky", f"flaky-{share}"), rung(second, "well", "ok")]
            assert Counter(await storm(survivor, rungs, requests)) == {200: requests}

    asyncio.run(main())
    sent = len(provider.requests) + len(other_provider.requests)
    assert requests <= sent <= 1.5 * requests
    assert len(other_provider.requests) <= requests  # nobody is billed twice for one answer


def test_where_all_are_down_everybody_hears_so_and_few_requests_are_sent(provider, other_provider):
    requests = 1000

    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            survivor = failover(rest=30)
            rungs = [rung(first, "a", "status-503"), rung(second, "b", "reset")]
            assert Counter(await storm(survivor, rungs, requests)) == {503: requests}

    asyncio.run(main())
    assert len(provider.requests) + len(other_provider.requests) <= 1.2 * requests


def test_one_upstream_without_a_breaker_gets_a_fifth_more_at_most(provider):
    async def main():
        async with upstreams(provider) as (first,):
            survivor = failover(failures=10**6)
            assert Counter(await storm(survivor, [rung(first, "a", "status-500")], 200)) == {503: 200}

    asyncio.run(main())
    assert 200 < len(provider.requests) <= 1.2 * 200


def test_a_breaker_opens_after_five_probes_once_a_rest_and_closes_after_recovery(provider, other_provider):
    rest = 0.1

    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            survivor = failover(rest=rest)
            rungs = [rung(first, "sick", "sick"), rung(second, "well", "ok")]
            provider.behave["sick"] = "status-500"
            until = time.monotonic() + 0.35
            while time.monotonic() < until:
                seen, _ = await ask(survivor, rungs)
                assert seen.done
            asked = [received.at for received in provider.requests]
            assert survivor.breaker("sick").state == "open"
            assert len(asked) <= 5 + 3
            probes = asked[5:]
            assert all(b - a >= rest * 0.95 for a, b in zip(asked[4:], probes, strict=False))
            provider.behave["sick"] = "ok"
            recovered = time.monotonic()
            while survivor.breaker("sick").state != "closed":
                await ask(survivor, rungs)
                assert time.monotonic() - recovered < 2 * rest

    asyncio.run(main())


@pytest.mark.parametrize("streams", [pytest.param(100), pytest.param(1000, marks=pytest.mark.slow)])
def test_where_half_of_the_clients_hang_up_their_upstreams_hear_it(streams, provider):
    async def one(survivor: Failover, rungs: list[Rung], leaves: bool, cancelled: bool) -> Account:
        account = Account()
        delivery = await survivor.deliver(rungs, account)
        assert delivery.pieces is not None
        got = await anext(delivery.pieces)
        if leaves and cancelled:
            waiting = asyncio.create_task(anext(delivery.pieces))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        if leaves:
            await delivery.pieces.aclose()
        else:
            async for piece in delivery.pieces:
                got += piece
            assert (got + delivery.last).endswith(b"data: [DONE]\n\n")
        return account

    async def main():
        async with upstreams(provider, connect=5, stall=5) as (first,):
            survivor = failover(first_token=20, total=30)
            rungs = [rung(first, "slow", "ok+tokens-6+pace-0.05", stream=True)]
            before = asyncio.all_tasks()
            asks = (one(survivor, rungs, i % 2 == 0, i % 4 == 0) for i in range(streams))
            accounts = await asyncio.gather(*asks)
            assert asyncio.all_tasks() == before
            assert [len(account.attempts) for account in accounts] == [1] * streams
            assert [account.ending for account in accounts] == ["cancelled", "ok"] * (streams // 2)
            left = [account.attempts[0] for account in accounts[::2]]
            assert all(a.error == "cancelled" and a.estimated and 0 < a.output_tokens < 6 for a in left)
            assert await asyncio.to_thread(
                provider.wait_until, lambda: sum(r.hung_up is not None for r in provider.requests) == streams // 2
            )
        assert await asyncio.to_thread(provider.wait_until, lambda: provider.open == 0)

    files = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert provider.wait_until(lambda: len(os.listdir("/proc/self/fd")) <= files)


def test_a_thousand_clients_that_fail_together_do_not_come_back_together():
    class Failing:
        async def open(self, request):
            raise UpstreamFailure("reset", "gone")

        async def aclose(self):
            pass

    waits: list[float] = []
    all_wait = asyncio.Event()
    random.seed(0)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1000:
            all_wait.set()
        await all_wait.wait()

    async def main():
        survivor = failover(failures=10**6, budget=1.0, base=0.1, cap=5.0, clock=lambda: 0.0, sleep=sleep)
        survivor._of("a").budget._saved = 1000  # the budget is another test's
        asks = (survivor.deliver([rung(Failing(), "a", "m")], Account()) for _ in range(1000))
        results = await asyncio.gather(*asks, return_exceptions=True)
        assert all(isinstance(result, Problem) for result in results)

    asyncio.run(main())
    buckets = Counter(int(wait * 10) for wait in waits)
    assert len(waits) == 1000
    assert max(buckets.values()) <= 0.05 * len(waits)
