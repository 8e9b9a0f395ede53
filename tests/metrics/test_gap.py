import numpy as np
import pytest

from forethought.metrics import gap_captured, gap_interval, oracle_accuracy

Y = np.array([[1.0, 0], [0, 1], [0, 1], [1, 1], [0, 0]])


def test_by_hand():
    assert oracle_accuracy(Y) == pytest.approx(0.8)
    # best single .6 (column 1), router right on rows 0, 1, 3: .6; then with row 2: .8.
    assert gap_captured(Y, np.array([0, 1, 0, 0, 0]), 1) == pytest.approx(0.0)
    assert gap_captured(Y, np.array([0, 1, 1, 0, 0]), 1) == pytest.approx(1.0)
    assert gap_captured(Y, np.array([-1, 1, 1, 0, 0]), 1) == pytest.approx(0.0)


def test_missing_labels_leave_pairs_out():
    table = np.vstack([Y, [np.nan, 1], [1, np.nan]])
    choice = np.array([0, 1, 1, 0, 0, 0, 0])
    assert gap_captured(table, choice, 1) == pytest.approx(1.0)
    assert gap_interval(np.tile(table, (40, 1)), np.tile(choice, 40), 1).n == 200


def test_success_rates():
    rates = np.array([[0.5, 0.25], [0.25, 1.0]])
    assert oracle_accuracy(rates) == pytest.approx(0.75)
    assert gap_captured(rates, np.array([0, 0]), 1) == pytest.approx((0.375 - 0.625) / 0.125)


def test_interval_recomputes_the_ratio():
    rng = np.random.default_rng(0)
    table = (rng.random((800, 3)) < 0.5).astype(float)
    perfect = table.argmax(axis=1)
    interval = gap_interval(table, perfect, 0, draws=300)
    # Numerator and denominator move together: a perfect router captures all of it in every draw.
    assert tuple(interval)[:3] == pytest.approx((1.0, 1.0, 1.0))
    half = gap_interval(table, np.where(rng.random(800) < 0.5, perfect, 0), 0, draws=300)
    assert 0.4 < half.low < half.value < half.high < 0.6


def test_undefined_without_sure_headroom():
    table = np.ones((400, 2))
    table[:6, 0] = 0
    assert gap_interval(table, np.ones(400, dtype=int), 0, draws=200) is None
    assert np.isnan(gap_captured(np.ones((3, 2)), np.zeros(3, dtype=int), 0))
    assert gap_interval(np.full((3, 2), np.nan), np.zeros(3, dtype=int), 0) is None
