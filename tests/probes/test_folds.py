from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from forethought.errors import DataError
from forethought.probes import LogisticHeads, SharedResidualRidge, out_of_fold


def _problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5))
    return X, (X[:, :2] + rng.normal(size=(90, 2)) > 0).astype(float), np.arange(90) % 3


def test_it_is_cross_val_predict_for_each_target() -> None:
    X, Y, folds = _problem()
    ours = out_of_fold(LogisticRegression, X, Y, folds)
    for k in range(2):
        theirs = cross_val_predict(LogisticRegression(), X, Y[:, k], cv=PredefinedSplit(folds), method="predict_proba")
        np.testing.assert_allclose(ours[:, k], theirs[:, 1])
    np.testing.assert_allclose(out_of_fold(LogisticRegression, csr_matrix(X), Y, folds), ours, atol=1e-4)


@pytest.mark.parametrize("make", [LogisticRegression, LogisticHeads, SharedResidualRidge, Ridge])
def test_no_row_sees_its_own_fold(make: type) -> None:
    X, Y, folds = _problem()
    before = out_of_fold(make, X, Y, folds)
    after = out_of_fold(make, X, np.where((folds == 1)[:, None], 1 - Y, Y), folds)
    np.testing.assert_array_equal(after[folds == 1], before[folds == 1])
    assert before.shape == (90, 2)


def test_missing_labels_are_left_out_of_single_target_fits() -> None:
    X, Y, folds = _problem()
    Y[:30, 0] = np.nan
    ours = out_of_fold(LogisticRegression, X, Y, folds)
    theirs = out_of_fold(LogisticRegression, X[30:], Y[30:], folds[30:])
    np.testing.assert_allclose(ours[30:, 0], theirs[:, 0])
    assert np.isfinite(ours).all()


def test_one_class_in_a_training_part_gives_its_base_rate() -> None:
    X, Y, folds = _problem()
    Y[:, 1] = 1.0
    np.testing.assert_array_equal(out_of_fold(LogisticRegression, X, Y, folds)[:, 1], 1.0)


def test_bad_input_says_what_is_wrong() -> None:
    X, Y, folds = _problem()
    with pytest.raises(DataError, match=r"shape \(90, K\)"):
        out_of_fold(LogisticRegression, X, Y[:5], folds)
    Y[folds != 2, 0] = np.nan
    with pytest.raises(DataError, match=r"columns \[0\] have no label outside fold 2"):
        out_of_fold(LogisticRegression, X, Y, folds)
