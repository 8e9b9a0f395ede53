import numpy as np
import pytest

from forethought.metrics import agreement_zones, auroc, near_misses, pairwise_win_rate

Y = np.array([[1.0, 1], [0, 0], [1, 0], [0, 1], [1, 0], [np.nan, 1]])
P = np.array([[0.9, 0.9], [0.1, 0.1], [0.60, 0.61], [0.54, 0.50], [0.7, 0.9], [0.5, 0.5]])


def test_zones():
    choice = np.array([0, 0, 1, 1, -1, 1])
    assert agreement_zones(Y, choice) == pytest.approx((0.2, 0.6, 0.2, 1 / 3))
    assert np.isnan(agreement_zones(Y[:2], choice[:2]).accuracy)
    assert np.isnan(agreement_zones(Y[5:], choice[5:]).disagree)


def test_near_misses():
    argmax = P.argmax(axis=1)
    found = near_misses(Y, P, argmax)
    assert (found.count, found.flippable, found.tiny) == (3, 2, 1)
    abstaining = near_misses(Y, P, np.full(6, -1))
    assert (abstaining.count, abstaining.flippable, abstaining.tiny) == (0, 0, 0)


def test_win_rate():
    # Pairs, by row: 2 lost, 3 lost, 4 lost, and the row with one label has none.
    assert pairwise_win_rate(Y, P) == 0.0
    assert pairwise_win_rate(Y, 1 - P) == 1.0
    assert pairwise_win_rate(Y, np.full_like(P, 0.5)) == 0.5
    assert np.isnan(pairwise_win_rate(Y[:2], P[:2]))


def test_win_rate_sees_only_differences_between_targets():
    rng = np.random.default_rng(0)
    difficulty = rng.random((500, 1))
    table = (rng.random((500, 3)) < difficulty).astype(float)
    p = np.repeat(difficulty, 3, axis=1)
    assert auroc(table.ravel(), p.ravel()) > 0.75
    assert pairwise_win_rate(table, p) == 0.5
