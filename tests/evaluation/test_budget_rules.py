from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.allocation import Pacer, Pacing, Programme, Tolerance, solve_knapsack
from forethought.errors import BudgetError
from forethought.evaluation import Allotment, Forecast, Serving, allotments
from forethought.evaluation.budget_rules import (
    batch,
    best_single_within,
    expected,
    price,
    static_mixture,
    stream,
    tolerance,
    utility,
)
from forethought.metrics import picked

NAMES = ("cheap", "fair", "good", "dear")
OURS = (batch, price, stream)


def forecast(rng: np.random.Generator, n: int) -> Forecast:
    cost = rng.lognormal(0, 0.3, (n, 1)) * np.array([1.0, 2.0, 5.0, 9.0])
    ease = rng.normal(0, 1.5, (n, 1))
    return Forecast(1 / (1 + np.exp(-ease - np.linspace(-1, 1, 4) - rng.normal(0, 0.4, (n, 4)))), cost)


def drawn(seed: int, n: int = 120) -> Serving:
    """Predictions taken for the truth, costs paid as predicted."""
    rng = np.random.default_rng(seed)
    served = forecast(rng, n)
    return Serving(NAMES, forecast(rng, n), forecast(rng, n), served, served.cost, np.zeros(n))


def between(serving: Serving, share: float) -> float:
    """A budget at a share of the way from the least to the dearest option of all."""
    return serving.least + share * (float(serving.served.cost[:, -1].mean()) - serving.least)


def by_hand() -> Serving:
    """Targets of past accuracy .5, .9 and .2 at 1, 3 and 2 USD; labels are missing."""
    success = np.array([[1, 1, np.nan], [0, 0.8, np.nan], [np.nan, np.nan, 0.2]])
    past = Forecast(success, np.tile([1.0, 3.0, 2.0], (3, 1)))
    served = Forecast(np.array([[0.5, 0.9, 0.2], [0.5, 0.9, 0.2]]), np.tile([1.0, 3.0, 2.0], (2, 1)))
    return Serving(("a", "b", "c"), past, served, served, served.cost, np.zeros(2))


@given(seed=st.integers(0, 50), share=st.floats(0, 1))
def test_on_the_questions_it_was_set_on_every_rule_keeps_the_budget_and_none_passes_the_bound(seed, share):
    serving = drawn(seed)
    serving = replace(serving, calibration=serving.served)
    budget = between(serving, share)
    success, cost = serving.served
    best = solve_knapsack(Programme.of_costs(success, cost, budget), seed=0)
    for rule in (batch, price, utility, tolerance):
        found = rule(serving, budget)
        assert expected(found.share, cost).mean() <= budget * (1 + 1e-9)
        assert expected(found.share, success).sum() <= best.bound + 1e-9
    assert expected(batch(serving, budget).share, success).sum() == pytest.approx(best.gain)


@given(seed=st.integers(0, 50), share=st.floats(0.05, 0.9))
def test_a_price_is_lambda_utility_up_to_ties_at_the_price(seed, share):
    serving = drawn(seed)
    budget = between(serving, share)
    a, b = price(serving, budget).share, utility(serving, budget).share
    assert (a != b).any(axis=1).sum() <= 2


@given(seed=st.integers(0, 50), share=st.floats(0.05, 0.9))
def test_tolerance_is_the_most_generous_that_keeps_the_mean_cost(seed, share):
    serving = drawn(seed)
    budget, (success, cost) = between(serving, share), serving.calibration
    found = tolerance(serving, budget)
    # Spending only changes where tau meets a difference of predictions.
    steps = np.unique(np.append(0.0, success.max(axis=1, keepdims=True) - success))
    spent = np.array([picked(cost, Tolerance(tau).choose(success, cost)).mean() for tau in steps])
    smallest = steps[np.argmax(spent <= budget)]
    np.testing.assert_array_equal(found.share.argmax(axis=1), Tolerance(smallest).choose(*serving.served))


@given(seed=st.integers(0, 50))
def test_more_budget_never_gains_less_on_predictions(seed):
    serving = drawn(seed)
    for rule in (batch, static_mixture):
        budgets = [max(between(serving, share), 1.2) for share in (0.1, 0.4, 0.7, 1.5)]
        table = serving.served.success if rule is batch else np.tile(serving.past.success.mean(axis=0), (120, 1))
        gains = [expected(rule(serving, budget).share, table).mean() for budget in budgets]
        assert all(a <= b + 1e-9 for a, b in pairwise(gains))


@pytest.mark.parametrize("rule", [batch, price, tolerance])
def test_the_order_of_questions_does_not_matter(rule):
    serving, order = drawn(3), np.random.default_rng(0).permutation(120)
    shuffled = replace(serving, served=Forecast(*(table[order] for table in serving.served)), paid=serving.paid[order])
    budget = between(serving, 0.3)
    np.testing.assert_array_equal(rule(shuffled, budget).share, rule(serving, budget).share[order])


def test_single_and_mixture_by_hand():
    serving = by_hand()
    assert best_single_within(serving, 2.9).setting == "always a"
    assert best_single_within(serving, 3.0).setting == "always b"
    mixed = static_mixture(serving, 2.5)
    assert mixed.setting == "25.0% a, 75.0% b"
    np.testing.assert_allclose(mixed.share, [[0.25, 0.75, 0]] * 2)
    assert not mixed.reads
    assert static_mixture(serving, 1.0).setting == "100.0% a"
    assert static_mixture(serving, 7.0).setting == "100.0% b"
    assert static_mixture(serving, 0.9) is None
    assert best_single_within(serving, 0.9) is None


def test_rules_that_cannot_be_set_are_left_out():
    serving = by_hand()
    cheap = Forecast(serving.served.success, serving.served.cost / 2)
    found = allotments(replace(serving, served=cheap, calibration=cheap), 0.6)
    assert [each.name for each in found] == ["batch", "price", "stream", "lambda utility", "tolerance"]
    even = Forecast(serving.served.success, np.ones((2, 3)))
    names = [each.name for each in allotments(replace(serving, served=even, calibration=even), 1.0)]
    assert "lambda utility" not in names
    assert "price" in names


def test_below_the_least_no_rule_serves():
    serving = drawn(0)
    assert len(allotments(serving, serving.least)) == 7
    with pytest.raises(BudgetError, match=r"cannot be met|does not serve"):
        allotments(serving, 0.9 * serving.least)


def test_a_stream_is_charged_what_was_paid_and_stays_within_where_a_fixed_price_does_not():
    serving = drawn(1, n=6000)
    serving = replace(serving, paid=1.3 * serving.served.cost)
    budget = between(serving, 0.4)
    over = {rule: serving.recorded(rule(serving, budget).share, reads=True).mean() / budget - 1 for rule in OURS}
    assert over[price] > 0.2
    assert over[batch] == pytest.approx(0.3, abs=0.01)
    assert over[stream] < 0.08


def test_a_stream_pays_the_prefill_and_the_prediction_where_no_bill_is_recorded():
    serving = drawn(2)
    serving = replace(serving, paid=np.full_like(serving.paid, np.nan), prefill=np.full(120, 0.25))
    budget = between(serving, 0.4)
    success, cost = serving.served
    pacer = Pacer(Pacing.calibrated(*serving.calibration, budget))
    for row in np.random.default_rng(5).permutation(120):
        option = pacer.choose(success[row].tolist(), cost[row].tolist())
        assert stream(serving, budget, seed=5).share[row, option] == 1.0
        pacer.charge(float(cost[row, option]))


def test_what_was_paid_includes_the_prefill_of_those_who_read_it():
    serving = replace(drawn(4), prefill=np.full(120, 0.25))
    one = Allotment("x", "", np.eye(4)[np.zeros(120, dtype=int)])
    assert serving.recorded(one.share, reads=True) == pytest.approx(serving.paid[:, 0] + 0.25)
    assert serving.recorded(one.share, reads=False) == pytest.approx(serving.paid[:, 0])
    assert serving.predicted(one.share, reads=True) == pytest.approx(serving.served.cost[:, 0].mean())
    assert serving.predicted(one.share, reads=False) == pytest.approx(serving.served.cost[:, 0].mean() - 0.25)


def test_a_missing_label_masks_a_question_only_where_its_option_has_a_share():
    table = np.array([[1.0, np.nan], [0.0, 1.0]])
    found = expected(np.array([[1.0, 0.0], [0.5, 0.5]]), table)
    np.testing.assert_array_equal(found, [1.0, 0.5])
    assert np.isnan(expected(np.array([[0.9, 0.1]]), table[:1])).all()
