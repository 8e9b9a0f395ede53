"""Records to write, and processes that write them until they are killed."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from dataclasses import replace
from typing import Any

from forethought.core import Decision, Prediction
from forethought.gateway.base import Attempt, Key, Plan, Reading
from forethought.gateway.ledger import BudgetSpent, Closing, Ledger, Opening

NOON = 1_800_000_000.0 - 1_800_000_000.0 % 86400 + 43200
"""A time of a day, so that no test runs into midnight."""
DAY = "2027-01-15"
FREE = Key("free", "without a limit")

_DECISION = Decision(
    "large",
    (Prediction("small", 0.25, 12.5, 1e-6), Prediction("large", 0.75, 20.0, None)),
    "cheapest-above",
    {"threshold": 0.5},
    "large is the cheapest target above 0.5",
    "artifact",
)
_READING = Reading(100, 120, 31, (-1.0, 1.5), (0.5,) * 64)
ROUTED = Plan(("large", "small"), _DECISION, _READING, None, "a note")

_numbers = itertools.count()


def new_id() -> str:
    return f"dec-{time.time_ns():016x}{next(_numbers):04x}"


def opening(key: Key = FREE, **changes: Any) -> Opening:
    made = Opening(new_id(), NOON, key, "/chat/completions", "forethought", False, ROUTED)
    return replace(made, **changes)


def closing(opened: Opening, cost: int = 0, **changes: Any) -> Closing:
    attempts = (Attempt("large", 200, 10, 4, 20, cost, 0.5, 0.1, "", False),)
    made = Closing(opened.id, opened.at + 1, opened.key, "ok", 200, "large", attempts, 1.0, opened.day)
    return replace(made, **changes)


async def log_forever(url: str) -> None:
    """Four tasks write; each says what was acknowledged: `+` for a decision, `.` for its end."""
    ledger = Ledger(url)
    await ledger.start()
    say("ready")

    async def log() -> None:
        while True:
            opened = opening(at=time.time())
            await ledger.admit(opened)
            say(f"+{opened.id}")
            await ledger.settle(closing(opened, cost=3))
            say(f".{opened.id}")

    await asyncio.gather(*(log() for _ in range(4)))


async def spend(url: str, tasks: int, requests: int, budget: int) -> None:
    """Tasks that ask for one unit again and again."""
    ledger = Ledger(url)
    await ledger.start()
    key = Key("poor", daily_budget=budget)
    say("ready")
    sys.stdin.readline()
    accepted = 0

    async def ask() -> None:
        nonlocal accepted
        for _ in range(requests):
            opened = opening(key, reserve=1)
            try:
                await ledger.admit(opened)
            except BudgetSpent:
                continue
            accepted += 1
            await ledger.settle(closing(opened, cost=1))

    await asyncio.gather(*(ask() for _ in range(tasks)))
    await ledger.close()
    say(str(accepted))


async def hold(url: str, reserve: int) -> None:
    """Reserve money and never settle it."""
    ledger = Ledger(url)
    await ledger.start()
    await ledger.admit(opening(Key("poor", daily_budget=100), reserve=reserve))
    say("ready")
    await asyncio.sleep(60)


async def begin(url: str) -> None:
    """Start when told."""
    say("ready")
    sys.stdin.readline()
    ledger = Ledger(url)
    await ledger.start()
    await ledger.admit(opening())
    await ledger.close()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _, job, url, *numbers = sys.argv
    jobs = {"log": log_forever, "spend": spend, "hold": hold, "begin": begin}
    asyncio.run(jobs[job](url, *map(int, numbers)))
