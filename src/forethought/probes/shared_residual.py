"""SharedResidualRidge: difficulty that all targets share and what sets them apart, each with its own penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from forethought.errors import DataError
from forethought.probes.base import BoolArray, FloatArray, IntArray
from forethought.probes.linear_scorer import LinearScorer, Part
from forethought.probes.penalty_choice import check_folds, choose_penalty, shuffled_folds
from forethought.probes.ridge_path import Affine, RidgePath, check_penalties
from forethought.probes.success_classifier import check_trials

ALPHAS = tuple(10.0 ** (k / 2) for k in range(-2, 9))


class Decomposition(NamedTuple):
    """Labels split into the row mean (column 0) and residuals (columns 1 to K), `(n, 1 + K)` each."""

    labels: FloatArray
    weights: FloatArray


class Penalties(NamedTuple):
    """Positions of the shared and the residual penalty in a path."""

    shared: int
    residual: int


class SharedResidualRidge(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge for each row's mean over targets plus ridge for each target's residual.

    A router lives on the differences between targets, which are a small part of the variance; one
    penalty for all would be set by the shared part. The shared penalty is chosen on squared error,
    the residual one on routed accuracy (`choose_penalty`), both out of fold.

    Args:
        alphas_shared: Penalties to try for the shared part, times the mean squared norm of the
            standardised features.
        alphas_residual: The same for the residuals.

    Attributes:
        coef_: `(d, K)` on raw features; `intercept_` `(K,)`.
        alpha_: The penalties chosen, by part.
        edge_: Parts whose penalty lies at an edge of its path, which is then too short.
        one_class_: Columns whose labels are all equal; predicted as that value.
    """

    def __init__(self, alphas_shared: Sequence[float] = ALPHAS, alphas_residual: Sequence[float] = ALPHAS) -> None:
        self.alphas_shared = alphas_shared
        self.alphas_residual = alphas_residual

    def fit(self, X: ArrayLike, Y: ArrayLike, trials: ArrayLike | None = None, folds: ArrayLike | None = None) -> Self:
        """Choose the penalties out of fold and fit.

        Args:
            X: Features `(n, d)`, dense or CSR.
            Y: Labels `(n, K)`, NaN where missing, or `(n,)`.
            trials: Answers behind each rate `(n, K)`: rows weigh as their binomial likelihood does.
            folds: Fold of each row `(n,)`; None shuffles rows into five.

        Raises:
            DataError: Labels or folds that do not fit, or a target without labels.
            ConfigError: A penalty that is not positive.
        """
        if Y is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        features = validate_data(self, X, accept_sparse="csr", dtype=np.float64, ensure_min_samples=2)
        labels = self._check_labels(Y, features.shape[0])
        weights = check_trials(trials, labels)
        folds = shuffled_folds(len(labels)) if folds is None else check_folds(folds, len(labels))
        live, self.one_class_ = split_one_class(labels)
        path = RidgePath(features)
        self._choose(path, labels[:, live], weights[:, live], folds)
        parts = fit_parts(path, np.arange(len(labels)), labels[:, live], weights[:, live], self.alpha_)
        self._assemble(parts, live, labels)
        self._centre = path.mean
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """Scores `(n, K)`, or `(n,)` when fitted on 1-D labels."""
        check_is_fitted(self)
        features = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        scores: FloatArray = features @ self.coef_ + self.intercept_
        return scores[:, 0] if self._single else scores

    def scorer(self) -> LinearScorer:
        """Serving form: scores clipped to [0, 1]."""
        check_is_fitted(self)
        part = Part(self._centre.astype(np.float32), self.coef_.astype(np.float32))
        return LinearScorer([part], self.intercept_ + self._centre @ self.coef_, link="clip")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = True
        return tags

    def _check_labels(self, Y: ArrayLike, n: int) -> FloatArray:
        labels = np.asarray(Y, dtype=np.float64)
        self._single = labels.ndim == 1
        labels = labels[:, None] if self._single else labels
        if labels.ndim != 2 or len(labels) != n:
            raise DataError(f"labels must have shape ({n}, K), got {labels.shape}: inconsistent numbers of samples")
        if np.isinf(labels).any():
            raise DataError("labels must be finite or NaN for missing, got infinity")
        if empty := np.flatnonzero(np.isnan(labels).all(axis=0)).tolist():
            raise DataError(f"targets without any label cannot be fitted: columns {empty}")
        return labels

    def _choose(self, path: RidgePath, Y: FloatArray, weights: FloatArray, folds: IntArray) -> None:
        tried = {"shared": check_penalties(self.alphas_shared), "residual": check_penalties(self.alphas_residual)}
        alphas = np.unique(np.concatenate(list(tried.values())))[::-1]
        scores = _out_of_fold(path, Y, weights, folds, alphas)
        allowed = np.isin(alphas, tried["shared"]), np.isin(alphas, tried["residual"])
        chosen = choose_penalties(scores, Y, folds, allowed)
        self.alpha_ = {part: float(alphas[position]) for part, position in chosen._asdict().items()}
        self.edge_ = tuple(part for part, alpha in self.alpha_.items() if alpha in (tried[part][0], tried[part][-1]))

    def _assemble(self, parts: Affine, live: IntArray, labels: FloatArray) -> None:
        self.coef_ = np.zeros((len(parts.coef), labels.shape[1]))
        self.intercept_ = np.nanmean(labels, axis=0)
        self.coef_[:, live] = parts.coef[:, :1] + parts.coef[:, 1:]
        self.intercept_[live] = parts.intercept[0] + parts.intercept[1:]


def split_one_class(labels: FloatArray) -> tuple[IntArray, list[int]]:
    """Columns with at least two different labels, and the others; all count as live where none is."""
    one_class = np.nanmin(labels, axis=0) == np.nanmax(labels, axis=0)
    live = np.flatnonzero(~one_class) if not one_class.all() else np.arange(labels.shape[1])
    return live, np.flatnonzero(one_class).tolist()


def decompose(Y: FloatArray, weights: FloatArray) -> Decomposition:
    """Split labels into row mean and residuals; columns are centred first, so that a missing label moves no mean."""
    present = weights > 0
    total = weights.sum(axis=0)
    level = np.divide((weights * np.where(present, Y, 0)).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    centred = np.where(present, Y - level, 0.0)
    mean = centred.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    residual = np.where(present, centred - mean[:, None] + level, 0.0)
    return Decomposition(np.column_stack([mean, residual]), np.column_stack([weights.sum(axis=1), weights]))


def predict_parts(
    path: RidgePath, train: IntArray, test: IntArray, Y: FloatArray, weights: FloatArray, alphas: FloatArray
) -> FloatArray:
    """Shared score (column 0) and residual scores at every penalty `(a, len(test), 1 + K)`; Y, weights of all rows."""
    parts = decompose(Y[train], weights[train])
    return path.predict(train, test, parts.labels, parts.weights, alphas)


def fit_parts(path: RidgePath, rows: IntArray, Y: FloatArray, weights: FloatArray, alpha: dict[str, float]) -> Affine:
    """Affine maps of the shared (column 0) and the residual scores at the penalties chosen."""
    labels, row_weights = decompose(Y[rows], weights[rows])
    shared = path.fit(rows, labels[:, :1], row_weights[:, :1], alpha["shared"])
    residual = path.fit(rows, labels[:, 1:], row_weights[:, 1:], alpha["residual"])
    return Affine(np.hstack([shared.coef, residual.coef]), np.concatenate([shared.intercept, residual.intercept]))


def choose_penalties(
    scores: FloatArray, Y: FloatArray, folds: IntArray, allowed: tuple[BoolArray, BoolArray] | None = None
) -> Penalties:
    """Choose both penalties from out-of-fold parts `(a, n, 1 + K)`, strongest penalty first."""
    everything = np.ones(len(scores), dtype=bool)
    may_share, may_differ = allowed or (everything, everything)
    residuals = scores[:, :, 1:]
    gap = _centre_rows(residuals, Y) - _centre_rows(Y[None], Y)
    loss = np.nanmean(gap**2, axis=(1, 2))
    candidates = np.flatnonzero(may_differ)
    residual = int(candidates[choose_penalty(residuals[candidates], Y, loss[candidates], folds)])
    error = np.nanmean((scores[:, :, :1] + residuals[residual] - Y) ** 2, axis=(1, 2))
    return Penalties(int(np.where(may_share, error, np.inf).argmin()), residual)


def _centre_rows(scores: FloatArray, Y: FloatArray) -> FloatArray:
    """Scores minus their mean over the labelled targets of the row; NaN where a label is missing."""
    present = ~np.isnan(Y)
    masked = np.where(present, scores, 0.0)
    mean = masked.sum(axis=-1, keepdims=True) / np.maximum(present.sum(axis=-1, keepdims=True), 1)
    return np.where(present, scores - mean, np.nan)


def _out_of_fold(
    path: RidgePath, Y: FloatArray, weights: FloatArray, folds: IntArray, alphas: FloatArray
) -> FloatArray:
    scores = np.zeros((len(alphas), len(Y), 1 + Y.shape[1]))
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        scores[:, test] = predict_parts(path, train, test, Y, weights, alphas)
    return scores
