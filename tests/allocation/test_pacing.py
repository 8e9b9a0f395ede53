import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.allocation import Pacer, PacerState, Pacing, Programme, solve_knapsack
from forethought.errors import BudgetError, ConfigError, DataError

COST = np.array([1.0, 3.0, 9.0])


def questions(seed: int, n: int, ease: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Success and costs of three options, dearer ones better."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(ease, 1.5, (n, 1)) + np.array([0, 0.7, 1.4]) + rng.normal(0, 0.3, (n, 3))
    return 1 / (1 + np.exp(-logit)), COST * rng.lognormal(0, 0.5, (n, 1))


def serve(pacer: Pacer, gain: np.ndarray, cost: np.ndarray) -> float:
    """Total gain of a stream."""
    total = 0.0
    for worth, spending in zip(gain.tolist(), cost.tolist(), strict=True):
        option = pacer.choose(worth, spending)
        pacer.charge(spending[option])
        total += worth[option]
    return total


def test_it_starts_at_the_price_of_the_calibration_set():
    gain, cost = questions(0, 500)
    pacing = Pacing.calibrated(gain, cost, 4.0)
    assert pacing.start == solve_knapsack(Programme.of_costs(gain, cost, 4.0)).price
    pacer = Pacer(pacing)
    spent = np.mean([row[pacer.choose(worth, row)] for worth, row in zip(gain, cost, strict=True)])
    assert spent == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("ease", [-1.5, 0.0, 1.5])
def test_the_mean_cost_tracks_the_budget_and_little_gain_is_lost(ease):
    gain, cost = (
        np.concatenate(tables) for tables in zip(questions(1, 10_000), questions(2, 10_000, ease), strict=True)
    )
    pacer = Pacer(Pacing.calibrated(*questions(0, 500), 4.0))
    won = serve(pacer, gain, cost)
    assert pacer.mean_cost == pytest.approx(4.0, rel=0.01)
    # The bound is that of any choice in hindsight at the same spending.
    assert won >= 0.95 * solve_knapsack(Programme.of_costs(gain, cost, pacer.mean_cost)).bound


@pytest.mark.parametrize("budget", [1.5, 2.5, 4.0, 6.0])
@pytest.mark.parametrize("factor", [0.1, 10])
def test_a_wrong_first_price_and_scale_are_made_up_for(budget, factor):
    gain, cost = questions(0, 20_000)
    right = Pacing.calibrated(gain[:300], cost[:300], budget, window=200)
    wrong = replace(right, start=right.start * factor, scale=right.scale * factor)
    pacer = Pacer(wrong)
    serve(pacer, gain, cost)
    assert pacer.mean_cost == pytest.approx(budget, rel=0.01)


def test_a_debt_is_paid_back_and_not_held():
    """A price that must stay higher than the first ends without the debt that raised it."""
    gain, cost = questions(1, 20_000)
    pacer = Pacer(Pacing(4.0, 0.0, 0.02, window=300))
    debts = []
    for start in range(0, 20_000, 250):
        serve(pacer, gain[start : start + 250], cost[start : start + 250])
        state = pacer.snapshot()
        debts.append(state.spent / 4 - state.requests)
    # In requests' budgets; the price that the budget needs would take a debt that stays of 400.
    assert pacer.price / 0.02 * 300 > 300
    assert max(debts) > 100
    assert abs(np.mean(debts[40:])) < 20


def test_a_budget_that_does_not_bind_leaves_the_price_at_zero():
    gain, cost = questions(0, 500)
    pacer = Pacer(Pacing.calibrated(gain, cost, 100.0))
    assert pacer.price == 0
    won = serve(pacer, gain, cost)
    assert won == pytest.approx(gain.max(axis=1).sum())
    assert pacer.price == 0


def test_a_thrifty_stretch_is_a_credit():
    pacer = Pacer(Pacing(2.0, 0.1, 0.1, window=10))
    for _ in range(50):
        pacer.charge(1.0)
    assert pacer.price == 0
    assert pacer.mean_cost == 1.0
    pacer.charge(200.0)
    assert pacer.price > 0.1


def test_options_by_gain_less_price_times_cost():
    pacer = Pacer(Pacing(1.0, 0.1, 0.1))
    assert pacer.choose([0.5, 0.7, 0.9], [1, 2, 5]) == 1  # .4 .5 .4
    assert pacer.choose([0.5, 0.75], [1, 3]) == 1  # .4 .45
    # Equal to the last bit: the cheaper, then the earlier.
    assert pacer.choose([0.75, 0.5], [2.5, 0.0]) == 1
    assert pacer.choose([0.5, 0.5], [1, 1]) == 0
    assert pacer.choose([float("nan"), 0.1], [1, 1]) == 1


def test_choosing_changes_nothing_and_charging_moves_the_price():
    pacer = Pacer(Pacing(2.0, 0.1, 0.5, window=10))
    before = pacer.snapshot()
    pacer.choose([0.1, 0.9], [1.0, 9.0])
    assert pacer.snapshot() == before == PacerState(0.1)
    pacer.charge(4.0)
    # One budget over: the price rises by scale / window, and the base follows the price by a fortieth.
    assert pacer.price == pytest.approx(0.1 + 0.05)
    assert pacer.snapshot() == PacerState(0.1, 1, 4.0)
    pacer.charge(2.0)
    assert pacer.price == pytest.approx(0.1 + 0.05 / 40 + 0.05)
    assert pacer.snapshot() == PacerState(pytest.approx(0.1 + 0.05 / 40), 2, 6.0)


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 200))
def test_a_snapshot_through_json_goes_on_alike(seed, cut):
    gain, cost = questions(seed, 200)
    pacing = Pacing.calibrated(gain, cost, 3.0, window=20)
    whole, first = Pacer(pacing), Pacer(pacing)
    serve(whole, gain, cost)
    serve(first, gain[:cut], cost[:cut])
    stored = json.loads(json.dumps([asdict(pacing), asdict(first.snapshot())]))
    second = Pacer(Pacing(**stored[0]), PacerState(**stored[1]))
    assert second.price == first.price
    serve(second, gain[cut:], cost[cut:])
    assert second.snapshot() == whole.snapshot()


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_of_cost_change_nothing(unit):
    gain, cost = questions(0, 2000)
    plain = Pacer(Pacing.calibrated(gain[:200], cost[:200], 3.0))
    scaled = Pacer(Pacing.calibrated(gain[:200], cost[:200] * unit, 3.0 * unit))
    serve(plain, gain, cost)
    serve(scaled, gain, cost * unit)
    assert scaled.mean_cost == pytest.approx(plain.mean_cost * unit, rel=1e-3)
    assert scaled.price * unit == pytest.approx(plain.price, rel=1e-2)


def test_calibration_without_anything_to_choose():
    same = Pacing.calibrated(np.full((5, 2), 0.5), np.full((5, 2), 2.0), 3.0)
    assert same.start == 0
    equal_slopes = Pacing.calibrated(np.tile([0.2, 0.4], (50, 1)), np.tile([1.0, 2.0], (50, 1)), 1.5)
    assert (equal_slopes.start, equal_slopes.scale) == (pytest.approx(0.2), pytest.approx(0.1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Pacing(0.0, 0.1, 0.1), ConfigError, "budget > 0"),
        (lambda: Pacing(1.0, -0.1, 0.1), ConfigError, "start >= 0"),
        (lambda: Pacing(1.0, 0.1, float("nan")), ConfigError, "scale > 0"),
        (lambda: Pacing(1.0, 0.1, 0.1, 0.5), ConfigError, "window >= 1"),
        (lambda: Pacing.calibrated(*questions(0, 10), 0.01), BudgetError, "cannot be met; the least on these"),
        (lambda: Pacing.calibrated(np.zeros(3), np.zeros(3), 1.0), DataError, "n and k >= 1"),
        (lambda: Pacer(Pacing(1.0, 0.1, 0.1)).charge(float("inf")), DataError, "finite, got inf"),
        (lambda: Pacer(Pacing(1.0, 0.1, 0.1)).choose([], []), DataError, "no option"),
        (lambda: Pacer(Pacing(1.0, 0.1, 0.1)).choose([0.1], [1, 2]), DataError, "1 gains for 2 costs"),
        (lambda: Pacer(Pacing(1.0, 0.1, 0.1)).choose([float("nan")], [1]), DataError, "no option"),
    ],
)
def test_what_cannot_be_paced_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
