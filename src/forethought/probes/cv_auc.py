"""Cross-validated AUROC of a linear probe for many PCA sizes, penalties and targets from one decomposition a fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.stats import rankdata

from forethought.probes.base import FloatArray, IntArray


class PrincipalAxes(NamedTuple):
    """Standardisation and leading principal axes of some rows.

    Attributes:
        centre: `(d,)`; `spread` `(d,)`, infinite for constant features.
        axes: `(d, p)`, the leading one first.
        energy: `(p,)` squared singular values of the standardised rows.
    """

    centre: FloatArray
    spread: FloatArray
    axes: NDArray[Any]
    energy: NDArray[Any]

    def scores(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return PCA scores `(n, p)` float32, not rescaled."""
        scores: NDArray[Any] = _standardise(X, self.centre, self.spread) @ self.axes
        return scores


def principal_axes(X: NDArray[Any], size: int) -> PrincipalAxes:
    """Decompose the standardised rows `X (n, d)` through the smaller of its two Gram matrices."""
    centre = X.mean(axis=0, dtype=np.float64)
    spread = X.std(axis=0, dtype=np.float64)
    spread[spread <= 1e-6 * np.maximum(np.abs(centre), 1e-12)] = np.inf
    Z = _standardise(X, centre, spread)
    tall = Z.shape[0] >= Z.shape[1]
    energy, vectors = eigh(Z.T @ Z if tall else Z @ Z.T, overwrite_a=True, check_finite=False)
    kept = np.flatnonzero(energy > 1e-6 * energy[-1])[::-1][:size]
    energy, vectors = energy[kept], vectors[:, kept]
    return PrincipalAxes(centre, spread, vectors if tall else Z.T @ (vectors / np.sqrt(energy)), energy)


def cross_validated_auc(
    X: NDArray[Any], Y: FloatArray, folds: IntArray, sizes: Sequence[int], Cs: Sequence[float]
) -> FloatArray:
    """Mean over folds of the AUROC of ridge on standardised, PCA-reduced features.

    Ridge stands for the logistic regression of arXiv 2603.20895's code: in principal axes it is
    closed form, so that every size and penalty costs one product. The penalty that answers to a
    logistic `C` is `4 / C`, for the curvature of the logistic loss is at most 1/4 a row; a target
    with missing labels has its curvature scaled by the share that is there. A fold in which a
    target has one class is left out of that target's mean.

    Args:
        X: Features `(n, d)`.
        Y: Success rates `(n, K)`, NaN where missing; for AUROC a rate above 1/2 is a success.
        folds: Fold of each row `(n,)`.
        sizes: PCA sizes; one beyond the rank is the same as the rank.
        Cs: Inverse penalties, as `LogisticRegression` has them.

    Returns:
        `(len(sizes), len(Cs), K)`; NaN for a target of which no fold has both classes.
    """
    parts = []
    for fold in np.unique(folds):
        test = folds == fold
        basis = principal_axes(X[~test], max(sizes))
        coef = _ridge(basis.scores(X[~test]), basis.energy, Y[~test], Cs)
        scores = basis.scores(X[test])
        grid = [np.einsum("np,cpk->nck", scores[:, :size], coef[:, :size], optimize=True) for size in sizes]
        parts.append(_auroc(np.stack(grid, axis=1), Y[test]))
    return nan_mean(np.stack(parts), axis=0)


def nan_mean(values: FloatArray, axis: int) -> FloatArray:
    """Mean of the values that are there; NaN, and no warning, where none is."""
    present = ~np.isnan(values)
    total, count = np.nansum(values, axis=axis), present.sum(axis=axis)
    mean: FloatArray = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    return mean


def _standardise(X: NDArray[Any], centre: FloatArray, spread: FloatArray) -> NDArray[np.float32]:
    return ((X - centre) / spread).astype(np.float32)


def _ridge(scores: NDArray[Any], energy: NDArray[Any], Y: FloatArray, Cs: Sequence[float]) -> NDArray[Any]:
    """Coefficients `(len(Cs), p, K)` in principal axes."""
    present = ~np.isnan(Y)
    count = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, Y - np.nansum(Y, axis=0) / count, 0.0)
    curvature = np.outer(energy, count / len(Y))
    moment = scores.T @ centred.astype(np.float32)
    return np.stack([moment / (curvature + 4.0 / C) for C in Cs])


def _auroc(scores: NDArray[Any], Y: FloatArray) -> FloatArray:
    """AUROC `(sizes, Cs, K)` of `scores (n, sizes, Cs, K)` by average ranks."""
    auc = np.full(scores.shape[1:], np.nan)
    for k in range(Y.shape[1]):
        present = ~np.isnan(Y[:, k])
        right = Y[present, k] > 0.5
        n1, n0 = int(right.sum()), int((~right).sum())
        if n1 and n0:
            ranks = rankdata(scores[present, :, :, k], axis=0)
            auc[:, :, k] = (ranks[right].sum(axis=0) - n1 * (n1 + 1) / 2) / (n1 * n0)
    return auc
