"""Whatever upstreams answer: never more votes than the cap, escalations than the steps, or money than the reserve."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest

from forethought.gateway.base import Account, Key
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams import UpstreamFailure

RULES = ("majority", "sequential", "adaptive_consistency", "ahead_by", "bayes", "early_stopping")
LONGEST = 16


def case(kit: Any, rng: random.Random) -> tuple[Any, Any, Any, int]:
    names = ["a", "b", "c", "d"][: rng.randint(1, 4)]
    steps = rng.choice([0, 1, 2, 3])
    entries = [
        kit.entry(
            name,
            vote=_vote(rng),
            features=["logprobs"],
            policy={"temperature": 0.8, "max_tokens": LONGEST},
            prices={"input": rng.choice([0.0, 0.1, 3.0]), "output": rng.choice([0.5, 7.0])},
        )
        for name in names
    ]
    settings = {"cascade": {"confidence": rng.choice([0.5, 1.0]), "steps": steps}} if steps else {}
    scripts = {name: _adversary(kit, random.Random(rng.random())) for name in names}
    bench = kit.bench(entries, scripts, retries={"attempts": rng.randint(1, 2), "base": 1e-4, "cap": 1e-3}, **settings)
    stream = {"stream": True} if rng.random() < 0.3 else {}
    request = kit.request("why? " * rng.randint(1, 20), key=Key("k", daily_budget=10**12), **stream)
    return bench, request, kit.plan(*names), steps


def _vote(rng: random.Random) -> Any:
    if rng.random() < 0.5:
        return None
    return {"rule": rng.choice(RULES), "setting": {"cap": rng.choice([5, 7])}, "width": rng.randint(1, 5)}


def _adversary(kit: Any, rng: random.Random) -> Any:
    """Every answer differs, nobody is ever sure, and some of it breaks."""
    breaks = rng.choice([0.0, 0.3, 1.0])

    def script(number: int, body: dict[str, Any]) -> Any:
        broken = rng.random() < breaks
        words = " ".join(f"w{rng.random()}" for _ in range(rng.randint(1, LONGEST)))
        return kit.Says(
            words,
            rng.choice(["stop", "length"]),
            sure=0.1,
            prompt=sum(len(turn["content"]) for turn in body["messages"]) // rng.randint(1, 4),
            cut=rng.randint(0, 3) if broken and rng.random() < 0.5 else None,
            status=rng.choice([500, 503, 429]) if broken and rng.random() < 0.5 else 200,
        )

    return script


async def check(kit: Any, seed: int) -> tuple[int, int]:
    bench, request, plan, steps = case(kit, random.Random(seed))
    account, headers = Account(), {}
    with contextlib.suppress(Problem, UpstreamFailure):
        delivery = await bench.executor.deliver(request, plan, account)
        headers = delivery.headers
        if delivery.pieces is not None:
            async for _ in delivery.pieces:
                pass
    attempts = bench.config.retries.attempts
    for entry in bench.config.target:
        most = (entry.vote.setting["cap"] if entry.vote else 1) * attempts
        assert len(bench.upstreams[entry.name].bodies) <= most, seed
        assert bench.upstreams[entry.name].active == 0, seed
        answered = [a for a in account.attempts if a.target == entry.name and a.output_tokens]
        assert len(answered) <= most // attempts, seed
    escalations = headers.get("x-forethought-escalated", "").count(",")
    assert escalations <= steps, seed
    assert int(headers.get("x-forethought-votes", 0)) <= 7, seed
    assert account.cost <= bench.executor.reserve(request, plan), seed
    return escalations, account.cost


def run(kit: Any, cases: int) -> None:
    async def every() -> list[tuple[int, int]]:
        return [await check(kit, seed) for seed in range(cases)]

    seen = asyncio.run(every())
    assert max(escalations for escalations, _ in seen) == 3  # the adversary does its worst
    assert sum(cost > 0 for _, cost in seen) > cases / 2


def test_caps_hold_for_adversaries(kit: Any) -> None:
    run(kit, 200)


@pytest.mark.slow
def test_caps_hold_for_ten_thousand_adversaries(kit: Any) -> None:
    run(kit, 10_000)
