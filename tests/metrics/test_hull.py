import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.errors import DataError
from forethought.metrics import static_hull


def test_by_hand():
    hull = static_hull(np.array([1.0, 2, 3, 5, 2.5]), np.array([0.4, 0.5, 0.8, 0.9, 0.3]))
    assert hull.targets == (0, 2, 3)
    assert hull.accuracy_at(2.0) == pytest.approx(0.6)
    assert hull.accuracy_at(10.0) == pytest.approx(0.9)
    assert np.isnan(hull.accuracy_at(0.5))
    assert hull.cost_at(0.85) == pytest.approx(4.0)
    assert hull.cost_at(0.1) == pytest.approx(1.0)
    assert np.isnan(hull.cost_at(0.95))


points = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12)


@given(points)
def test_no_target_and_no_mixture_lies_above(pairs):
    costs, accuracies = np.array(pairs, dtype=float).T
    hull = static_hull(costs, accuracies)
    for i in range(len(costs)):
        for j in range(len(costs)):
            cost, accuracy = (costs[i] + 2 * costs[j]) / 3, (accuracies[i] + 2 * accuracies[j]) / 3
            assert hull.accuracy_at(cost) >= accuracy - 1e-9
    slopes = np.diff(hull.accuracy) / np.diff(hull.cost)
    assert (slopes > 0).all()
    assert (np.diff(slopes) < 0).all()


def test_bad_input():
    with pytest.raises(DataError, match="NaN"):
        static_hull(np.array([1.0]), np.array([np.nan]))
    with pytest.raises(DataError, match="shape"):
        static_hull(np.array([]), np.array([]))
