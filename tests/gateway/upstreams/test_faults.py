"""The sixteen faults against the failover, through real sockets."""

from __future__ import annotations

import asyncio

import pytest
from asking import ask, failover, rung, upstreams
from faults import CASES, Case, Seen, problems_of, truncated_as_success


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_survived_and_the_next_call_is_healthy(case: Case, provider, other_provider):
    async def main():
        async with upstreams(provider, other_provider) as (first, second):
            survivor = failover()
            rungs = [rung(first, "primary", case.primary, case.stream)]
            if case.fallback is not None:
                rungs.append(rung(second, "fallback", case.fallback, case.stream))
            for _ in range(case.times):
                before = len(provider.requests), len(other_provider.requests)
                seen, account = await ask(survivor, rungs)
                seen.primary = len(provider.requests) - before[0]
                seen.fallback = len(other_provider.requests) - before[1]
                assert problems_of(case, seen) == []
                assert account.ending == {"ok": "ok", "cut": "truncated", "refused": "refused"}[case.ends]
            healthy, _ = await ask(survivor, [rung(first, "healthy", "ok", case.stream)])
            assert healthy.done
            assert not truncated_as_success(healthy)

    asyncio.run(main())


def test_there_are_sixteen_faults():
    assert len({case.name for case in CASES}) == 16


@pytest.mark.parametrize(
    "seen",
    [
        Seen(200, "w0 ", done=True, primary=1),
        Seen(200, "w0 ", failed=True, primary=1, fallback=1),
        Seen(503, error={"code": "x"}, primary=1),
        Seen(200, seconds=60, failed=True),
    ],
)
def test_the_checker_sees_a_fault_that_was_not_survived(seen):
    cut = next(case for case in CASES if case.name == "stream cut at 40 of 60")
    assert problems_of(cut, seen) != []
