from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.gateway.upstreams import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(3, 5.0, clock)
    for _ in range(3):
        breaker.acquire().failure()
    return breaker


def test_failures_in_a_row_open_it():
    breaker = CircuitBreaker(3, 5.0, Clock())
    for outcome in ("failure", "failure", "success", "failure", "failure"):
        getattr(breaker.acquire(), outcome)()
    assert breaker.state == "closed"
    breaker.acquire().failure()
    assert breaker.state == "open"
    assert breaker.acquire() is None


def test_after_its_rest_one_probe_is_let_through_and_its_success_closes():
    clock = Clock()
    breaker = opened(clock)
    clock.now += 4.9
    assert breaker.acquire() is None
    assert breaker.resting == pytest.approx(0.1)
    clock.now += 0.2
    probe = breaker.acquire()
    assert breaker.state == "half-open"
    assert breaker.acquire() is None
    probe.success()
    assert breaker.state == "closed"
    assert breaker.acquire() is not None


@pytest.mark.parametrize("outcome", ["failure", "limited"])
def test_a_probe_that_fails_opens_it_for_another_rest(outcome):
    clock = Clock()
    breaker = opened(clock)
    clock.now += 6
    getattr(breaker.acquire(), outcome)()
    assert breaker.acquire() is None
    assert breaker.resting == 5.0


def test_a_probe_that_was_given_up_frees_its_place():
    clock = Clock()
    breaker = opened(clock)
    clock.now += 6
    breaker.acquire().release()
    assert breaker.acquire() is not None


def test_a_probe_closes_it_once_its_answer_begins():
    clock = Clock()
    breaker = opened(clock)
    clock.now += 6
    probe = breaker.acquire()
    probe.began()
    assert breaker.state == "closed"
    probe.failure()
    assert breaker.state == "closed"


def test_requests_of_before_do_not_count_once_it_is_open():
    clock = Clock()
    breaker = CircuitBreaker(1, 5.0, clock)
    early, late = breaker.acquire(), breaker.acquire()
    breaker.acquire().failure()
    early.success()
    assert breaker.state == "open"
    clock.now += 4
    late.failure()
    assert breaker.resting == 1.0


def test_only_the_first_outcome_counts():
    breaker = CircuitBreaker(2, 5.0, Clock())
    permit = breaker.acquire()
    permit.failure()
    permit.failure()
    assert breaker.state == "closed"


@given(st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["failure", "success", "limited", "release"]))))
def test_there_is_at_most_one_failed_probe_a_rest(steps):
    clock = Clock()
    breaker = opened(clock)
    probes = []
    for pause, outcome in steps:
        clock.now += pause
        was = breaker.state
        permit = breaker.acquire()
        if permit is not None:
            if was == "open" and outcome in ("failure", "limited"):
                probes.append(clock.now)
            getattr(permit, outcome)()
    assert all(b - a >= 5.0 - 1e-9 for a, b in pairwise(probes))
