import numpy as np
import pytest

from forethought.allocation import Tolerance
from forethought.errors import DataError
from forethought.metrics import p_auccc, picked
from forethought.metrics.auccc import _sweep

P = np.array([[0.5, 0.9], [0.6, 0.7], [0.4, 0.3], [0.2, 0.8]])
COST = np.array([1.0, 5.0])
Y = np.array([[0.0, 1], [1, 1], [1, 0], [0, 0]])


def test_by_hand():
    # Gaps of the cheap target: .4, .1, 0, .6. Sweep: tau 0 -> (4, .75), .1 -> (3, .75), .4 -> (2, .5), .6 -> (1, .5).
    # Floor .5; above it: 0 on 1..2, a ramp to .25 on 2..3, .25 on 3..5: (.125 + .5) / 4.
    area = (0.125 + 0.5) / 4
    # The oracle starts at (1, .5), buys row 0 for 4 USD, (2, .75), then plateaus: (.125 + .75) / 4.
    oracle = (0.125 + 0.75) / 4
    # Single targets: both .5 right, so the front is the cheap one.
    assert p_auccc(P, COST, Y) == pytest.approx((area, area / oracle, 0.0, area))


def test_sweep_is_the_tolerance_rule():
    rng = np.random.default_rng(0)
    p, cost, y = rng.random((30, 4)), rng.random((30, 4)), (rng.random((30, 4)) < 0.5).astype(float)
    spent, gained = _sweep(p, cost, y)
    taus = np.unique((p.max(axis=1, keepdims=True) - p).ravel())
    points = set()
    for tau in taus:
        choice = Tolerance(min(tau + 1e-10, 1.0)).choose(p, cost)
        points.add((round(picked(cost, choice).mean(), 9), round(picked(y, choice).mean(), 9)))
    assert {(round(c, 9), round(a, 9)) for c, a in zip(spent, gained, strict=True)} == points


def test_no_predictor_beats_the_oracle_and_labels_reach_it():
    rng = np.random.default_rng(0)
    y = rng.random((40, 3))
    cost = np.array([1.0, 2, 4])
    for _ in range(20):
        assert p_auccc(rng.random((40, 3)), cost, y).oracle_share < 1
    sharp = (rng.random((400, 2)) < 0.5).astype(float)
    assert p_auccc(sharp, COST, sharp).oracle_share == pytest.approx(1.0)


def test_missing_rows_are_left_out():
    holed = np.vstack([Y, [np.nan, 1.0]])
    assert p_auccc(np.vstack([P, [0.1, 0.2]]), COST, holed) == p_auccc(P, COST, Y)


def test_bad_input():
    with pytest.raises(DataError, match="costs must differ"):
        p_auccc(P, np.array([1.0, 1.0]), Y)
    with pytest.raises(DataError, match="label from every target"):
        p_auccc(P, COST, np.full((4, 2), np.nan))
