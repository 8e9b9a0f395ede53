import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from forethought.allocation import MeanCostCap
from forethought.errors import BudgetError
from forethought.metrics import picked


def spent_and_won(policy, success, cost):
    choice = policy.choose(success, cost)
    return picked(cost, choice).mean(), picked(success, choice).mean()


def lp_optimum(success, cost, cap):
    """Most success that any randomised assignment has within the cap."""
    n, K = success.shape
    one_each = np.kron(np.eye(n), np.ones((1, K)))
    found = linprog(-success.ravel() / n, cost.ravel()[None] / n, [cap], one_each, np.ones(n), bounds=(0, 1))
    return -found.fun


@given(st.integers(0, 10_000), st.floats(0.05, 1.2))
def test_cap_holds_on_the_rows_it_was_fitted_on(seed, where):
    rng = np.random.default_rng(seed)
    success, cost = rng.random((25, 4)), rng.random((25, 4)) * 1e-3
    least, most = cost.min(axis=1).mean(), cost.max(axis=1).mean()
    cap = least + where * (most - least)
    spent, _ = spent_and_won(MeanCostCap.fit(success, cost, cap), success, cost)
    assert spent <= cap * (1 + 1e-9)


def test_nearly_as_good_as_the_linear_programme():
    rng = np.random.default_rng(0)
    success, cost = rng.random((300, 4)), rng.random((300, 4))
    for cap in (0.25, 0.35, 0.45):
        spent, won = spent_and_won(MeanCostCap.fit(success, cost, cap), success, cost)
        best = lp_optimum(success, cost, cap)
        assert best - 1 / 300 <= won <= best + 1e-9
        assert spent == pytest.approx(cap, abs=2 / 300)


def test_a_cap_that_does_not_bind_is_argmax():
    rng = np.random.default_rng(0)
    success, cost = rng.random((40, 3)), rng.random((40, 3))
    policy = MeanCostCap.fit(success, cost, 10.0)
    assert policy.price == 0
    assert (policy.choose(success, cost) == success.argmax(axis=1)).all()


def test_many_questions_at_one_price_are_mixed():
    rng = np.random.default_rng(0)
    # Every question gains .2 for 1 USD: the mean cost jumps from 1 to 2 at price .2.
    low = rng.integers(0, 2**40, 1000) / 2**41
    success = np.column_stack([low, low + 0.2])
    cost = np.tile([1.0, 2.0], (1000, 1))
    policy = MeanCostCap.fit(success, cost, 1.6)
    spent, _ = spent_and_won(policy, success, cost)
    assert spent == pytest.approx(1.6, abs=0.01)
    assert spent <= 1.6
    fresh = rng.integers(0, 2**40, 4000) / 2**41
    again, _ = spent_and_won(policy, np.column_stack([fresh, fresh + 0.2]), np.tile([1.0, 2.0], (4000, 1)))
    assert again == pytest.approx(1.6, abs=0.06)


def test_rows_that_cannot_be_told_apart_stay_within_the_cap():
    success, cost = np.tile([0.4, 0.6], (50, 1)), np.tile([1.0, 2.0], (50, 1))
    spent, _ = spent_and_won(MeanCostCap.fit(success, cost, 1.5), success, cost)
    assert spent == 1.0


def test_a_cap_below_the_cheapest_is_refused():
    with pytest.raises(BudgetError, match="cheapest possible is 1"):
        MeanCostCap.fit(np.full((3, 2), 0.5), np.tile([1.0, 2.0], (3, 1)), 0.5)
