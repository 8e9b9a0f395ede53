import numpy as np
import pytest

from forethought.errors import DataError
from forethought.metrics import operating_point, oracle_choice, picked, reference_choices, reference_points

Y = np.array([[1.0, 0, 1], [0, 0, 1], [0, 0, 0], [1, 1, np.nan]])
COST = np.array([[1.0, 2, 9], [1, 2, 9], [1, 0.5, 9], [1, 2, 9]])
TRAIN = np.array([[1.0, 0, 1], [0, 0, 1], [1, 0, np.nan]])


def test_by_hand():
    points = reference_points(Y, COST, TRAIN)
    assert points.best_single_index == 2
    assert points.best_single[:2] == pytest.approx((2 / 3, 9.0))
    assert points.cheapest[:2] == pytest.approx((0.5, 1.0))
    assert points.dearest[:2] == pytest.approx((2 / 3, 9.0))
    assert points.random[:2] == pytest.approx(((0.5 + 0.25 + 2 / 3) / 3, (1 + 1.625 + 9) / 3))
    assert points.oracle[:2] == pytest.approx((3 / 4, (1 + 9 + 0.5 + 1) / 4))
    assert points.per_group_best is None


def test_oracle_with_rates_takes_the_highest_then_the_cheapest():
    rates = np.array([[0.2, 0.9, 0.9], [0.0, 0.0, 0.0], [np.nan, 0.1, np.nan]])
    cost = np.array([[1.0, 3, 2], [2, 1, 3], [0.1, 5, 0.1]])
    assert oracle_choice(rates, cost).tolist() == [2, 1, 1]


def test_group_best_comes_from_training_and_falls_back():
    train = np.array([[1.0, 0], [1, 0], [0, 1], [1, 0]])
    groups = np.array(["a", "a", "b", "a"])
    choices = reference_choices(
        np.ones((3, 2)), np.ones((3, 2)), train, test_groups=np.array(["b", "a", "new"]), train_groups=groups
    )
    assert choices["per_group_best"].tolist() == [1, 0, 0]


def test_abstentions_and_missing_labels():
    assert picked(Y, np.array([-1, 2, 0, 1])).tolist() == [0, 1, 0, 1]
    point = operating_point(Y, COST, np.array([-1, 2, 0, 2]))
    assert point == pytest.approx((1 / 3, 10 / 3, 1 / 3))


def test_bad_input():
    with pytest.raises(DataError, match=r"-1 \.\. 2"):
        picked(Y, np.array([0, 1, 2, 3]))
    with pytest.raises(DataError, match="choices"):
        picked(Y, np.array([0, 1]))
    with pytest.raises(DataError, match="training label"):
        reference_points(Y, COST, np.full((2, 3), np.nan))
