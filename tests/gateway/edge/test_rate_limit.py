from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.gateway.base import Key
from forethought.gateway.edge.rate_limit import MOST_KEYS, RateLimiter, SlidingWindow
from forethought.gateway.problems import Problem


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def passes(limiter: RateLimiter, key: Key) -> bool:
    try:
        limiter.take(key)
    except Problem:
        return False
    return True


def test_ten_times_the_load_gets_the_rate_and_another_key_all_it_asks() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    loud, quiet = Key("loud", requests_per_second=100), Key("quiet", requests_per_second=100)
    let_through = served = 0
    for step in range(10_000):
        clock.now = step / 1000
        let_through += passes(limiter, loud)
        if step % 20 == 0:
            served += passes(limiter, quiet)
    assert 980 <= let_through <= 1020
    assert served == 500


@given(st.floats(0.2, 200), st.lists(st.floats(0, 0.5), min_size=1, max_size=300))
def test_no_second_holds_more_than_the_rate(rate: float, pauses: list[float]) -> None:
    window, now, passed = SlidingWindow(rate), 0.0, []
    for pause in pauses:
        now += pause
        wait = window.take(now)
        if wait == 0.0:
            passed.append(now)
        else:
            assert 0 < wait <= max(1, int(rate)) / rate + 1e-9
    span = max(1, int(rate)) / rate
    for first in passed:
        within = [t for t in passed if first <= t < first + span - 1e-6]
        assert len(within) <= max(1, int(rate))


def test_the_wait_that_is_told_is_enough() -> None:
    clock = Clock()
    limiter, key = RateLimiter(clock), Key("k", requests_per_second=0.5)
    assert passes(limiter, key)
    clock.now = 0.25
    with pytest.raises(Problem) as caught:
        limiter.take(key)
    assert (caught.value.status, caught.value.code) == (429, "rate_limited")
    assert caught.value.headers == {"retry-after": "2", "retry-after-ms": "1750"}
    clock.now += 1.75
    assert passes(limiter, key)


def test_a_key_without_a_limit_is_not_counted() -> None:
    limiter = RateLimiter(Clock())
    assert all(passes(limiter, Key("k")) for _ in range(1000))
    assert not limiter._windows


def test_a_changed_limit_holds_at_once() -> None:
    limiter = RateLimiter(Clock())
    assert passes(limiter, Key("k", requests_per_second=1))
    assert not passes(limiter, Key("k", requests_per_second=1))
    assert passes(limiter, Key("k", requests_per_second=2))


def test_the_keys_remembered_are_bounded() -> None:
    limiter = RateLimiter(Clock())
    for number in range(MOST_KEYS + 100):
        limiter.take(Key(str(number), requests_per_second=1))
    assert len(limiter._windows) == MOST_KEYS
