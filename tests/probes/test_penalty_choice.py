from __future__ import annotations

import numpy as np
import pytest

from forethought.errors import DataError
from forethought.probes.penalty_choice import check_folds, choose_penalty, fold_mean, routed_success, shuffled_folds

FOLDS = np.arange(200) % 5


def test_routed_success_takes_the_best_scored_target_with_a_label() -> None:
    Y = np.array([[1.0, 0.0], [np.nan, 0.5]])
    scores = np.array([[[0.1, 0.9], [0.9, 0.1]], [[0.9, 0.1], [0.0, 0.0]]])
    np.testing.assert_array_equal(routed_success(scores, Y), [[0.0, 0.5], [1.0, 0.5]])


def test_a_clear_winner_on_routed_accuracy_beats_a_lower_loss() -> None:
    Y = np.tile([1.0, 0.0], (200, 1))
    good, bad = np.tile([1.0, 0.0], (200, 1)), np.tile([0.0, 1.0], (200, 1))
    assert choose_penalty(np.stack([bad, good]), Y, np.array([0.1, 0.9]), FOLDS) == 1


def test_within_noise_the_loss_decides_and_then_the_stronger_penalty() -> None:
    rng = np.random.default_rng(0)
    Y = rng.integers(0, 2, size=(200, 2)).astype(float)
    close = np.stack([Y, Y])
    close[0, :3] = 1 - Y[:3]
    close[1, 3:6] = 1 - Y[3:6]
    assert choose_penalty(close, Y, np.array([0.3, 0.2]), FOLDS) == 1
    assert choose_penalty(close, Y, np.array([0.2, 0.3]), FOLDS) == 0
    assert choose_penalty(close, Y, np.array([0.2, 0.2]), FOLDS) == 0


def test_fold_mean_weighs_folds_not_rows() -> None:
    assert fold_mean(np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1])) == 0.5


def test_folds_are_checked() -> None:
    with pytest.raises(DataError, match="shape"):
        check_folds([0, 1], 3)
    with pytest.raises(DataError, match="two folds"):
        check_folds([1, 1, 1], 3)
    assert np.bincount(shuffled_folds(12)).tolist() == [3, 3, 2, 2, 2]
