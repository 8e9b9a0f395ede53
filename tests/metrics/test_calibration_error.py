import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.errors import ConfigError, DataError
from forethought.metrics import brier, debiased_ece, expected_calibration_error, reliability_curve


def test_brier_by_hand():
    assert brier(np.array([1.0, 0.0, np.nan]), np.array([0.8, 0.4, 0.1])) == pytest.approx((0.04 + 0.16) / 2)


def test_ece_by_hand():
    p = np.array([0.1, 0.2, 0.7, 0.8])
    y = np.array([0.0, 0.0, 1.0, 0.0])
    assert expected_calibration_error(y, p, bins=2) == pytest.approx((0.5 * 0.15) + (0.5 * 0.25))


def test_a_constant_probability_is_one_bin():
    y = np.array([0.0, 1.0] * 50)
    assert expected_calibration_error(y, np.full(100, 0.5)) == 0.0


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=50), st.integers(1, 20))
def test_ece_ignores_order_and_is_bounded(pairs, bins):
    y, p = np.array(pairs, dtype=float).T
    value = expected_calibration_error(y, p, bins)
    assert 0 <= value <= 1
    assert value == pytest.approx(expected_calibration_error(y[::-1], p[::-1], bins))


def test_debiasing_removes_the_noise_floor_and_keeps_the_error():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, 600)
    y = (rng.random(600) < p).astype(float)
    assert expected_calibration_error(y, p) > 0.025
    assert debiased_ece(y, p) < 0.012
    off = (rng.random(600) < np.clip(p - 0.1, 0, 1)).astype(float)
    assert debiased_ece(off, p) == pytest.approx(0.1 - 0.04, abs=0.045)


def test_more_trials_lower_the_floor():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, 300)
    y = np.clip(p + 0.03, 0, 1)
    assert debiased_ece(y, p, trials=1) == 0.0
    assert debiased_ece(y, p, trials=np.full(300, 40)) > 0.015


def test_reliability_by_hand_and_its_interval():
    y = np.array([0.0, 0, 1, 0, 1, 1])
    p = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    curve = reliability_curve(y, p, bins=2)
    assert curve.count.tolist() == [3, 3]
    assert curve.mean_p == pytest.approx([0.2, 0.8])
    assert curve.mean_y == pytest.approx([1 / 3, 2 / 3])
    # Wilson's interval for 1 of 3, as statsmodels' proportion_confint gives it.
    assert (curve.low[0], curve.high[0]) == pytest.approx((0.0614919, 0.7923404), abs=1e-5)


def test_bad_input():
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        brier(np.array([1.0]), np.array([1.2]))
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        brier(np.array([1.0]), np.array([np.nan]))
    with pytest.raises(ConfigError, match="bins"):
        expected_calibration_error(np.array([1.0]), np.array([0.2]), bins=0)
    assert np.isnan(brier(np.array([np.nan]), np.array([0.2])))
