from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forethought.gateway.base import Key
from forethought.gateway.ledger import BudgetSpent, Ledger, QuotaSpent
from forethought.gateway.ledger.budgets import Spending

HOLD = 100.0
"""Seconds after which a reservation expires here."""


@dataclass
class Model:
    """The rule, in words of one syllable: a list of what is held, and sums."""

    budget: int | None
    share: float | None
    spent: int = 0
    held: dict[int, tuple[int, float]] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    requests: int = 0
    dear: int = 0

    def admit(self, number: int, reserve: int, dear: bool, now: float) -> str:
        if self.budget is not None and not self._fits(reserve):
            self.held = {one: (amount, until) for one, (amount, until) in self.held.items() if until > now}
            if not self._fits(reserve):
                return "budget"
        if dear and self.share is not None and self.dear + 1 > self.share * (self.requests + 1):
            return "quota"
        self.requests += 1
        self.dear += dear
        self.open.add(number)
        if self.budget is not None and reserve:
            self.held[number] = (reserve, now + HOLD)
        return "yes"

    def _fits(self, reserve: int) -> bool:
        used = self.spent + sum(amount for amount, _ in self.held.values())
        return used < self.budget and used + reserve <= self.budget

    def settle(self, number: int, cost: int) -> None:
        if number in self.open:
            self.open.remove(number)
            self.held.pop(number, None)
            self.spent += cost

    @property
    def row(self) -> tuple[int, int, int, int]:
        return self.spent, sum(amount for amount, _ in self.held.values()), self.requests, self.dear


ADMIT = st.tuples(st.just("admit"), st.integers(0, 40), st.booleans())
SETTLE = st.tuples(st.just("settle"), st.integers(0, 12), st.integers(0, 50))
WAIT = st.tuples(st.just("wait"), st.sampled_from([1, 60, 150]), st.none())
LIMITS = st.tuples(st.none() | st.integers(0, 100), st.none() | st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
numbers = itertools.count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits=LIMITS, steps=st.lists(ADMIT | SETTLE | WAIT, max_size=25))
def test_the_ledger_decides_as_the_rule_does(ledger_url, records, query, limits, steps):
    key = Key(f"k{next(numbers)}", daily_budget=limits[0], dear_share=limits[1])
    model = Model(*limits)

    async def work() -> None:
        ledger = Ledger(ledger_url, reserve_seconds=HOLD)
        await ledger.start()
        openings, now = [], records.NOON
        for kind, first, second in steps:
            now += 1
            if kind == "wait":
                now += first
            elif kind == "admit":
                openings.append(records.opening(key, at=now, reserve=first, dear=second))
                expected = model.admit(len(openings) - 1, first, second, now)
                assert await answer(ledger, openings[-1]) == expected
            elif first < len(openings):
                model.settle(first, second)
                await ledger.settle(records.closing(openings[first], cost=second))
        await ledger.close()

    asyncio.run(work())
    found = query(ledger_url, f"SELECT spent, reserved, requests, dear FROM spending WHERE key_id = '{key.id}'")
    assert (found or [(0, 0, 0, 0)]) == [model.row]


async def answer(ledger, opening) -> str:
    try:
        await ledger.admit(opening)
    except BudgetSpent:
        return "budget"
    except QuotaSpent:
        return "quota"
    return "yes"


@pytest.mark.parametrize(
    ("budget", "spent", "reserved", "reserve", "accepted"),
    [
        (100, 0, 0, 100, True),
        (100, 0, 0, 101, False),
        (100, 60, 30, 10, True),
        (100, 60, 30, 11, False),
        (100, 99, 0, 0, True),
        (100, 100, 0, 0, False),
        (100, 0, 100, 0, False),
        (100, 120, 0, 0, False),
        (0, 0, 0, 0, False),
        (None, 10**18, 0, 10**18, True),
    ],
)
def test_a_budget_by_hand(records, budget, spent, reserved, reserve, accepted):
    refusal = Spending(spent, reserved).refusal(records.opening(Key("k", daily_budget=budget), reserve=reserve))
    assert (refusal is None) is accepted


@pytest.mark.parametrize(
    ("share", "requests", "dear", "accepted"),
    [
        (0.5, 0, 0, False),
        (0.5, 1, 0, True),
        (0.5, 2, 1, False),
        (0.5, 3, 1, True),
        (1.0, 0, 0, True),
        (0.0, 10**6, 0, False),
        (0.1, 9, 0, True),
        (None, 5, 5, True),
    ],
)
def test_a_quota_by_hand(records, share, requests, dear, accepted):
    opening = records.opening(Key("k", dear_share=share), dear=True)
    assert (Spending(0, 0, requests, dear).refusal(opening) is None) is accepted


def test_a_refusal_leaves_no_trace(ledger_url, records, query):
    key = Key("k", daily_budget=10, dear_share=0.5)

    async def work() -> None:
        ledger = Ledger(ledger_url)
        await ledger.start()
        with pytest.raises(BudgetSpent, match="may spend 10 nanodollars a day: 0 are spent, 0 reserved, 11 asked for"):
            await ledger.admit(records.opening(key, reserve=11))
        with pytest.raises(QuotaSpent, match=r"may send 0.5 of its requests to dear targets: 0 of 0 were"):
            await ledger.admit(records.opening(key, reserve=1, dear=True))
        await ledger.close()

    asyncio.run(work())
    assert query(ledger_url, "SELECT spent, reserved, requests, dear FROM spending") == [(0, 0, 0, 0)]
    assert query(ledger_url, "SELECT id FROM decisions UNION ALL SELECT id FROM reservations") == []


def test_in_one_group_the_refused_do_not_stop_the_others(ledger_url, records, query):
    poor, rich = Key("poor", daily_budget=3), Key("rich", daily_budget=10**9)
    openings = [records.opening(key, reserve=1) for _ in range(8) for key in (poor, rich)]

    async def work() -> list[str]:
        ledger = Ledger(ledger_url)
        await ledger.start()
        told = await asyncio.gather(*(answer(ledger, opened) for opened in openings))
        await ledger.close()
        return told

    told = asyncio.run(work())
    assert told[::2] == ["yes"] * 3 + ["budget"] * 5  # in the order in which they came
    assert told[1::2] == ["yes"] * 8
    assert query(ledger_url, "SELECT count(*) FROM decisions") == [(11,)]


def test_what_fails_is_given_back_exactly(ledger_url, records, query):
    key = Key("k", daily_budget=100)

    async def work() -> None:
        ledger = Ledger(ledger_url)
        await ledger.start()
        for reserve, cost in ((100, 0), (100, 0), (100, 13), (87, 0), (87, 87)):
            opened = records.opening(key, reserve=reserve)
            await ledger.admit(opened)
            await ledger.settle(records.closing(opened, cost=cost, ending="ok" if cost else "failed"))
        assert await answer(ledger, records.opening(key)) == "budget"
        await ledger.close()

    asyncio.run(work())
    assert query(ledger_url, "SELECT spent, reserved FROM spending") == [(100, 0)]


def test_a_new_day_has_its_own_budget_and_an_end_is_charged_to_the_day_of_its_beginning(ledger_url, records, query):
    key = Key("k", daily_budget=10)

    async def work() -> None:
        ledger = Ledger(ledger_url)
        await ledger.start()
        today = records.opening(key, reserve=10)
        await ledger.admit(today)
        assert await answer(ledger, records.opening(key, reserve=10)) == "budget"
        assert await answer(ledger, records.opening(key, reserve=10, at=records.NOON + 86400)) == "yes"
        await ledger.settle(records.closing(today, cost=4, at=records.NOON + 86400))
        await ledger.close()

    asyncio.run(work())
    found = query(ledger_url, "SELECT day, spent, reserved FROM spending ORDER BY day")
    assert found == [("2027-01-15", 4, 0), ("2027-01-16", 0, 10)]


def test_what_expired_is_charged_once_when_it_ends_after_all(ledger_url, records, query):
    key = Key("k", daily_budget=10)
    late = records.opening(key, reserve=10)

    async def work() -> None:
        ledger = Ledger(ledger_url, reserve_seconds=HOLD)
        await ledger.start()
        await ledger.admit(late)
        assert await answer(ledger, records.opening(key, reserve=4, at=late.at + HOLD - 1)) == "budget"
        assert await answer(ledger, records.opening(key, reserve=4, at=late.at + HOLD)) == "yes"
        for _ in range(2):
            await ledger.settle(records.closing(late, cost=5))
        await ledger.close()

    asyncio.run(work())
    assert query(ledger_url, "SELECT spent, reserved, requests FROM spending") == [(5, 4, 2)]


def test_what_a_dead_process_held_is_given_back_when_the_next_one_starts(ledger_url, records, query):
    key = Key("k", daily_budget=10)
    old = records.opening(key, reserve=10, at=1_000_000.0)

    async def work() -> None:
        first = Ledger(ledger_url, reserve_seconds=HOLD)
        await first.start()
        await first.admit(old)
        await first.close()
        second = Ledger(ledger_url, reserve_seconds=HOLD)
        await second.start()
        await second.admit(records.opening())
        await second.close()

    asyncio.run(work())
    assert query(ledger_url, "SELECT spent, reserved, requests FROM spending WHERE key_id = 'k'") == [(0, 0, 1)]
    assert query(ledger_url, "SELECT id FROM reservations") == []
