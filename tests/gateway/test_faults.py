"""The sixteen faults over HTTP, against a whole gateway that routes."""

from __future__ import annotations

import asyncio

import pytest
from faults import BREAKER, CASES, RETRIES, TIMEOUTS, Case, Seen, problems_of, truncated_as_success
from raw_http import Heard, chat, once

PRICES = {
    "north": {"input": 0.5, "output": 1.0, "cached_input": 0.05},
    "south": {"input": 1.0, "output": 2.0},
}
MODEL = "forethought/thrifty"
THRIFTY = {"thrifty": {"rule": "tolerance", "setting": {"tau": 1.0}}}
"""Always the cheaper target first."""


@pytest.fixture
def failing(gateway, provider, other_provider, router_folder, target):
    """A gateway whose primary and fallback do what a case says."""

    def start(case: Case):
        provider.behave["primary"], other_provider.behave["fallback"] = case.primary, case.fallback or ""
        targets = [target("north", provider, "primary", prices=PRICES["north"], context=8192)]
        if case.fallback is not None:
            targets.append(target("south", other_provider, "fallback", prices=PRICES["south"], context=8192))
        settings = {"timeouts": TIMEOUTS, "retries": RETRIES, "breaker": BREAKER}
        return gateway(target=targets, router=router_folder, policies=THRIFTY, **settings)

    return start


def seen_of(heard: Heard, account: dict) -> Seen:
    error = heard.error
    return Seen(
        status=heard.status,
        text=heard.text,
        done=heard.status == 200 and heard.ended,
        failed=heard.status == 200 and bool(error),
        error=error,
        seconds=heard.seconds,
        accounted=len(account["attempts"]),
        charged=sum(attempt["output_tokens"] for attempt in account["attempts"]),
    )


def price_of(attempt: dict) -> int:
    """Nanodollars of an attempt's tokens, reckoned anew."""
    prices = PRICES[attempt["target"]]
    cached = attempt["cached_tokens"] if "cached_input" in prices else 0
    fresh = attempt["input_tokens"] - cached
    usd = fresh * prices["input"] + cached * prices.get("cached_input", 0) + attempt["output_tokens"] * prices["output"]
    return round(usd * 1000)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_survived_and_accounted_and_the_next_call_is_healthy(case, failing, provider, other_provider):
    gate = failing(case)
    for _ in range(case.times):
        before = len(provider.requests), len(other_provider.requests)
        heard = asyncio.run(once(gate.port, chat(MODEL, stream=case.stream, max_tokens=64)))
        account = gate.ask(f"/decisions/{heard.decision}").json
        seen = seen_of(heard, account)
        seen.primary = len(provider.requests) - before[0]
        seen.fallback = len(other_provider.requests) - before[1]
        assert problems_of(case, seen) == []
        assert not truncated_as_success(seen)
        assert heard.whole == (case.ends != "cut")  # a cut answer does not end as HTTP says that a body must
        assert account["ending"] == {"ok": "ok", "cut": "truncated", "refused": "refused"}[case.ends]
        _check_account(account, seen, heard)
    provider.behave["primary"] = other_provider.behave["fallback"] = "ok"
    healthy = asyncio.run(once(gate.port, chat(MODEL, stream=case.stream, max_tokens=64)))
    assert healthy.status == 200
    assert healthy.ended
    assert healthy.text.split() == [f"w{i}" for i in range(60)]


def _check_account(account: dict, seen: Seen, heard: Heard) -> None:
    """Each provider's requests stand in the account once, and only one of them is billed."""
    asked = [attempt["target"] for attempt in account["attempts"]]
    assert (asked.count("north"), asked.count("south")) == (seen.primary, seen.fallback)
    assert [attempt["cost"] for attempt in account["attempts"]] == [price_of(a) for a in account["attempts"]]
    billed = [attempt for attempt in account["attempts"] if attempt["cost"]]
    assert len(billed) == (1 if seen.text else 0)
    assert account["cost"] == sum(attempt["cost"] for attempt in account["attempts"])
    if "x-forethought-cost-usd" in heard.headers:
        assert float(heard.headers["x-forethought-cost-usd"]) == pytest.approx(account["cost"] / 1e9)
