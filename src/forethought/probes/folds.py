"""Out-of-fold predictions of any estimator of the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import get_tags

from forethought.errors import DataError
from forethought.probes.base import FloatArray, IntArray
from forethought.probes.penalty_choice import check_folds

if TYPE_CHECKING:
    from forethought.probes.base import Block


def out_of_fold(make_estimator: Callable[[], Any], X: Block, Y: ArrayLike, folds: ArrayLike) -> FloatArray:
    """Predict every row by an estimator fitted without the row's fold.

    Args:
        make_estimator: Makes an unfitted estimator. One that takes several targets is fitted on all
            columns at once, any other on each column's labelled rows.
        X: Features `(n, d)`, dense or CSR.
        Y: Success `(n, K)` or `(n,)`, NaN where missing.
        folds: Fold of each row `(n,)`; linked questions belong in one fold.

    Returns:
        P(success) `(n, K)` (predicted values for regressors). A target with one class among a
        fold's training rows gets their base rate.

    Raises:
        DataError: Labels or folds that do not fit, or a target without labels outside some fold.
    """
    labels = np.asarray(Y, dtype=np.float64)
    labels = labels[:, None] if labels.ndim == 1 else labels
    if labels.ndim != 2 or len(labels) != X.shape[0]:
        raise DataError(f"labels must have shape ({X.shape[0]}, K), got {labels.shape}")
    numbers = check_folds(folds, len(labels))
    predictions = np.full(labels.shape, np.nan)
    for fold in np.unique(numbers):
        train, test = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
        if empty := np.flatnonzero(np.isnan(labels[train]).all(axis=0)).tolist():
            raise DataError(f"targets in columns {empty} have no label outside fold {fold}")
        fit = _all_targets if get_tags(make_estimator()).target_tags.multi_output else _each_target
        predictions[test] = fit(make_estimator, X, labels, train, test)
    return predictions


def _all_targets(
    make_estimator: Callable[[], Any], X: Block, Y: FloatArray, train: IntArray, test: IntArray
) -> FloatArray:
    return predict_success(make_estimator().fit(X[train], Y[train]), X[test])


def _each_target(
    make_estimator: Callable[[], Any], X: Block, Y: FloatArray, train: IntArray, test: IntArray
) -> FloatArray:
    columns = []
    for y in Y.T:
        rows = train[~np.isnan(y[train])]
        if len(np.unique(y[rows])) == 1:
            columns.append(np.full(len(test), y[rows[0]]))
        else:
            columns.append(predict_success(make_estimator().fit(X[rows], y[rows]), X[test])[:, 0])
    return np.column_stack(columns)


def predict_success(estimator: Any, X: Block) -> FloatArray:
    """P(success) `(n, K)`, whichever of the three ways an estimator says it."""
    for method in ("predict_success", "predict_proba", "predict"):
        if hasattr(estimator, method):
            break
    values = np.asarray(getattr(estimator, method)(X), dtype=np.float64)
    if method == "predict_proba" and len(getattr(estimator, "classes_", ())) == 2 and values.shape[1] == 2:
        values = values[:, 1]
    return values[:, None] if values.ndim == 1 else values
