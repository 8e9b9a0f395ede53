import numpy as np
import pytest

from forethought.allocation import AbstentionFloor, Argmax, OperatingPoint, Tolerance, choose_point, operating_points
from forethought.errors import BudgetError, ConfigError

P = np.array([[0.5, 0.9], [0.6, 0.7], [0.4, 0.3], [0.2, 0.8]])
COST = np.tile([1.0, 5.0], (4, 1))
Y = np.array([[0.0, 1], [1, 1], [1, 0], [0, 0]])
SWEEP = [Tolerance(tau) for tau in (0.0, 0.1, 0.4, 0.6)]


def test_points_by_hand():
    points = operating_points(SWEEP, P, COST, Y)
    assert [(point.accuracy, point.cost) for point in points] == [(0.75, 4), (0.75, 3), (0.5, 2), (0.5, 1)]
    assert [point.policy for point in points] == SWEEP


def test_what_was_spent_counts_not_what_was_expected():
    (point,) = operating_points([Argmax()], P, COST, Y, spent=COST * 10)
    assert point.cost == 40


def test_abstentions_are_told_apart_and_missing_labels_left_out():
    holed = Y.copy()
    holed[0, 1] = np.nan
    (point,) = operating_points([AbstentionFloor(Argmax(), 0.6)], P, COST, holed)
    assert point[1:] == pytest.approx((1 / 3, 10 / 3, 1 / 3))


def test_choice_among_points():
    points = operating_points(SWEEP, P, COST, Y)
    assert choose_point(points, max_loss=0.0).policy == Tolerance(0.1)
    assert choose_point(points, max_loss=0.25).policy == Tolerance(0.6)
    assert choose_point(points, max_cost=3.5).policy == Tolerance(0.1)
    assert choose_point(points, max_cost=2.0).policy == Tolerance(0.4)


def test_ties_go_to_the_safer():
    points = [OperatingPoint(Tolerance(tau), 0.5, 1.0) for tau in (0.0, 0.1)]
    assert choose_point(points, max_loss=0.1).policy == Tolerance(0.0)
    assert choose_point(points, max_cost=1.0).policy == Tolerance(0.0)


def test_bad_limits():
    points = operating_points(SWEEP, P, COST, Y)
    for limits in ({}, {"max_loss": 0.1, "max_cost": 1.0}, {"max_loss": -0.1}):
        with pytest.raises(ConfigError):
            choose_point(points, **limits)
    with pytest.raises(ConfigError):
        choose_point([], max_loss=0.1)
    with pytest.raises(BudgetError, match="cheapest costs 1"):
        choose_point(points, max_cost=0.5)
