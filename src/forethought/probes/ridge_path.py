"""Ridge on one feature block for many row subsets, targets and penalties at the price of few factorisations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import issparse

from forethought.errors import ConfigError
from forethought.probes.base import FloatArray, IntArray

if TYPE_CHECKING:
    from forethought.probes.base import Block


class Affine(NamedTuple):
    """Scores `X @ coef + intercept` on raw features: `coef` (d, m), `intercept` (m,)."""

    coef: FloatArray
    intercept: FloatArray


class RidgePath:
    """One block, standardised once, ready for ridge fits on any of its rows.

    A penalty `alpha` is relative: it multiplies the mean squared norm of the standardised rows, so
    one path serves blocks of any width, dense or sparse. Sparse blocks are scaled by nothing, to
    stay sparse. The intercept carries no penalty. Where rows are fewer than columns the dual form
    is solved, `(Z Z' + alpha W^-1) a = y` (Saunders, Gammerman & Vovk 1998), else the primal one.

    Args:
        X: Features `(n, d)`, dense or CSR. Standardisation sees features of all rows, never labels.
    """

    def __init__(self, X: Block) -> None:
        self.n, self.width = X.shape
        self.mean, self.scale = np.zeros(self.width), np.ones(self.width)
        if not issparse(X):
            X = np.asarray(X, dtype=np.float64)
            self.mean, spread = X.mean(axis=0), X.std(axis=0)
            self.scale = np.where(spread > 1e-12 * np.abs(self.mean), spread, 1.0)
            self.scale[self.scale == 0] = 1.0
            X = (X - self.mean) / self.scale
        self.Z = X
        values = np.asarray(X.data if issparse(X) else X)
        self.unit = float(np.sum(values * values)) / max(self.n, 1) or 1.0
        self._dual = issparse(X) or self.n < self.width
        self._gram = _dense(X @ X.T) if self._dual else None

    def predict(
        self, train: IntArray, test: IntArray, Y: FloatArray, weights: FloatArray, alphas: FloatArray
    ) -> FloatArray:
        """Fit on some rows at every penalty and predict others.

        Args:
            train: Row numbers to fit on.
            test: Row numbers to predict.
            Y: Labels of the training rows `(len(train), m)`.
            weights: Weights `(len(train), m)`; 0 leaves a row out of that column's fit.
            alphas: Relative penalties `(a,)`.

        Returns:
            `(a, len(test), m)`.
        """
        out = np.zeros((len(alphas), len(test), Y.shape[1]))
        for columns, used in _patterns(weights):
            rows, w = train[used], weights[used, columns[0]]
            basis = self._gram[np.ix_(test, rows)] if self._gram is not None else self.Z[test]
            for i, (solution, intercept) in enumerate(self._solve(rows, Y[np.ix_(used, columns)], w, alphas)):
                out[i][:, columns] = basis @ solution + intercept
        return out

    def fit(self, rows: IntArray, Y: FloatArray, weights: FloatArray, alpha: float) -> Affine:
        """Fit on some rows at one penalty; labels and weights `(len(rows), m)` as in `predict`."""
        coef, intercept = np.zeros((self.width, Y.shape[1])), np.zeros(Y.shape[1])
        for columns, used in _patterns(weights):
            taken, w = rows[used], weights[used, columns[0]]
            solution, offset = next(self._solve(taken, Y[np.ix_(used, columns)], w, np.array([alpha])))
            coef[:, columns] = self.Z[taken].T @ solution if self._dual else solution
            intercept[columns] = offset
        coef /= self.scale[:, None]
        return Affine(coef, intercept - self.mean @ coef)

    def _solve(
        self, rows: IntArray, Y: FloatArray, w: FloatArray, alphas: FloatArray
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield solution and intercept for each penalty: dual (rows, m) or primal (d, m)."""
        w = w / w.mean()
        if self._gram is not None:
            return _solve_dual(self._gram[np.ix_(rows, rows)], Y, w, alphas * self.unit)
        return _solve_primal(self.Z[rows], Y, w, alphas * self.unit)


def _solve_dual(
    gram: FloatArray, Y: FloatArray, w: FloatArray, alphas: FloatArray
) -> Iterator[tuple[FloatArray, FloatArray]]:
    right = np.column_stack([np.ones(len(Y)), Y])
    for alpha in alphas:
        regularised = gram.copy()
        regularised[np.diag_indices_from(regularised)] += alpha / w
        factor = cho_factor(regularised, lower=True, overwrite_a=True, check_finite=False)
        solved = cho_solve(factor, right, check_finite=False)
        intercept = solved[:, 1:].sum(axis=0) / solved[:, 0].sum()
        yield solved[:, 1:] - np.outer(solved[:, 0], intercept), intercept


def _solve_primal(
    Z: FloatArray, Y: FloatArray, w: FloatArray, alphas: FloatArray
) -> Iterator[tuple[FloatArray, FloatArray]]:
    centre, level = np.average(Z, axis=0, weights=w), np.average(Y, axis=0, weights=w)
    weighted = (Z - centre) * w[:, None]
    gram, right = weighted.T @ (Z - centre), weighted.T @ (Y - level)
    for alpha in alphas:
        regularised = gram.copy()
        regularised[np.diag_indices_from(regularised)] += alpha
        factor = cho_factor(regularised, lower=True, overwrite_a=True, check_finite=False)
        coef = cho_solve(factor, right, check_finite=False)
        yield coef, level - centre @ coef


def _patterns(weights: FloatArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Columns that share their weights up to scale share a factorisation; columns without weight are left at 0."""
    total = weights.sum(axis=0)
    live = np.flatnonzero(total > 0)
    if not len(live):
        return
    shapes = np.round(weights[:, live] / total[live], 12)
    _, inverse = np.unique(shapes, axis=1, return_inverse=True)
    for pattern in range(inverse.max() + 1):
        columns = live[inverse.ravel() == pattern]
        yield columns, np.flatnonzero(weights[:, columns[0]] > 0)


def _dense(product: Any) -> FloatArray:
    return np.asarray(product.toarray() if issparse(product) else product, dtype=np.float64)


def check_penalties(values: Sequence[float]) -> FloatArray:
    """Penalties, ascending.

    Raises:
        ConfigError: None given, or one not positive.
    """
    penalties = np.unique(np.asarray(values, dtype=np.float64))
    if not len(penalties) or not (penalties > 0).all():
        raise ConfigError(f"penalties must be positive and at least one, got {list(values)}")
    return penalties
