from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forethought.gateway.upstreams import RetryBudget


@given(st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0]), st.lists(st.booleans(), max_size=400))
def test_retries_never_exceed_their_share(share, steps):
    budget, requests, retries = RetryBudget(share), 0, 0
    for is_request in steps:
        if is_request:
            budget.deposit()
            requests += 1
        else:
            retries += budget.take()
        assert retries <= (max(1, share * requests) + 1e-6 if share else 0)


def test_where_everything_fails_a_fifth_is_tried_again():
    budget, retries = RetryBudget(0.2), 0
    for _ in range(1000):
        budget.deposit()
        retries += budget.take()
    assert 195 <= retries <= 200


def test_the_first_request_may_be_tried_again():
    budget = RetryBudget(0.2)
    budget.deposit()
    assert budget.take()
    assert not budget.take()


def test_quiet_times_save_up_only_so_much():
    budget = RetryBudget(0.2)
    for _ in range(100_000):
        budget.deposit()
    assert sum(budget.take() for _ in range(1000)) == 20
