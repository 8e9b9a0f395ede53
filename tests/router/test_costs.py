from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import Prices
from forethought.errors import ConfigError, DataError
from forethought.router import InputLength, PriceList


@given(slope=st.floats(0, 8), constant=st.floats(0, 500), seed=st.integers(0, 99))
def test_a_line_is_found_exactly(slope, constant, seed):
    x = np.random.default_rng(seed).integers(1, 400, 30).astype(float)
    line = InputLength.fit(x, np.column_stack([slope * x + constant, x]))
    np.testing.assert_allclose(line.predict(x)[:, 0], slope * x + constant, rtol=1e-6, atol=1e-6)


def test_missing_rows_are_masked():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    y = np.array([[2.0], [4.0], [np.nan], [8.0]])
    assert InputLength.fit(x, y).predict(np.array([3.0])) == pytest.approx(6.0)


def test_one_row_or_one_length_gives_the_mean():
    assert InputLength.fit(np.array([5.0]), np.array([[7.0]])).predict(np.array([100.0])) == pytest.approx(7.0)
    flat = InputLength.fit(np.array([5.0, 5.0]), np.array([[6.0], [8.0]]))
    assert flat.predict(np.array([100.0])) == pytest.approx(7.0)


def test_a_length_is_never_negative():
    line = InputLength.fit(np.array([10.0, 20.0]), np.array([[1.0], [21.0]]))
    assert line.predict(np.array([1.0])) == 0.0


def test_a_target_without_any_length_is_refused():
    with pytest.raises(DataError, match="target 1"):
        InputLength.fit(np.array([1.0, 2.0]), np.array([[1.0, np.nan], [2.0, np.nan]]))


def test_cost_by_hand():
    prices = PriceList.of(("a", "b"), {"b": Prices(0.5, 4.0), "a": Prices(1.0, 2.0)}, encoder_price=0.1)
    cost = prices.cost(np.array([[100.0, 200.0]]), np.array([[10.0, 50.0]]))
    np.testing.assert_allclose(cost, [[120e-6, 300e-6]])
    np.testing.assert_allclose(prices.encoder_cost(np.array([30.0])), [3e-6])


def test_every_target_without_a_price_is_named():
    with pytest.raises(ConfigError, match="b, c"):
        PriceList.of(("a", "b", "c"), {"a": Prices(1.0, 2.0)})
