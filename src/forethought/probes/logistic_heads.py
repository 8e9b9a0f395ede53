"""LogisticHeads: separate logistic heads on the same features, the ablation of everything joint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from forethought.probes.base import FloatArray, IntArray
from forethought.probes.linear_scorer import LinearScorer, Part
from forethought.probes.logistic_path import logistic_path
from forethought.probes.penalty_choice import check_folds, shuffled_folds
from forethought.probes.ridge_path import check_penalties
from forethought.probes.success_classifier import SuccessClassifier

LOGISTIC_CS = tuple(10.0 ** (k / 2) for k in range(-10, 5))
_RANKING_TOLERANCE = 1e-2
_PATIENCE = 3


class Heads(NamedTuple):
    """K fitted heads: `coef` (K, d), `intercept` (K,) on raw features, C (K,), AUROC (c, K), C at an edge (K,)."""

    coef: FloatArray
    intercept: FloatArray
    C: FloatArray
    auroc: FloatArray
    edge: NDArray[np.bool_]
    centre: FloatArray


class LogisticHeads(SuccessClassifier):
    """One L2 logistic head a target on standardised features, each with the C of its own best AUROC.

    Args:
        Cs: Inverse penalties to try.

    Attributes:
        C_: Chosen inverse penalties `(K,)`; `auroc_` `(c, K)` of each of `Cs`, ascending, NaN past the
            third value after every target's best.
        coef_: `(K, d)` on raw features; `intercept_` `(K,)`.
        edge_: Columns whose C lies at an edge of the path.
        one_class_: Columns with a single class, served by their smoothed base rate.
    """

    def __init__(self, Cs: Sequence[float] = LOGISTIC_CS) -> None:
        self.Cs = Cs

    def fit(self, X: ArrayLike, Y: ArrayLike, trials: ArrayLike | None = None, folds: ArrayLike | None = None) -> Self:
        """Choose each head's C over the same folds and fit; see `SuccessClassifier.fit`.

        Args:
            X: Features `(n, d)`.
            Y: Success rates `(n, K)`, NaN where missing, or two labels `(n,)`.
            trials: Answers behind each rate `(n, K)`; None is one each.
            folds: Fold of each row `(n,)`; None shuffles rows into five.
        """
        features, rates, weights = self._validate(X, Y, trials)
        heads = fit_heads(features, rates, weights, folds, self.Cs)
        self.coef_, self.intercept_, self._centre = heads.coef, heads.intercept, heads.centre
        self.C_, self.auroc_ = heads.C, heads.auroc
        one_class = np.nanmin(rates, axis=0) == np.nanmax(rates, axis=0)
        self.one_class_ = np.flatnonzero(one_class).tolist()
        self.edge_ = np.flatnonzero(heads.edge & ~one_class).tolist()
        return self

    def scorer(self) -> LinearScorer:
        """Serving form."""
        check_is_fitted(self)
        return LinearScorer([Part(self._centre, self.coef_.T)], self.intercept_ + self.coef_ @ self._centre)

    def _predict_success(self, X: FloatArray) -> FloatArray:
        return np.asarray(expit(X @ self.coef_.T + self.intercept_))


def fit_heads(
    X: FloatArray, rates: FloatArray, trials: FloatArray, folds: ArrayLike | None, Cs: Sequence[float]
) -> Heads:
    """Standardise, choose each target's C by cross-validated AUROC and fit."""
    path_of_C = check_penalties(Cs)
    numbers = shuffled_folds(len(X)) if folds is None else check_folds(folds, len(X))
    scaler = StandardScaler().fit(X)
    Z = scaler.transform(X)
    auroc = _cross_validated_auroc(Z, rates, trials, numbers, path_of_C)
    best = np.nan_to_num(auroc).argmax(axis=0)
    path = list(logistic_path(Z, rates, trials, path_of_C[: best.max() + 1]))
    coef = np.array([path[b][0][:, k] for k, b in enumerate(best)]) / scaler.scale_
    intercept = np.array([path[b][1][k] for k, b in enumerate(best)]) - coef @ scaler.mean_
    edge = np.isin(best, (0, len(path_of_C) - 1))
    return Heads(coef, intercept, path_of_C[best], auroc, edge, scaler.mean_)


def _cross_validated_auroc(
    Z: FloatArray, rates: FloatArray, trials: FloatArray, folds: IntArray, Cs: FloatArray
) -> FloatArray:
    """AUROC `(c, K)` of each C and target, mean over folds.

    NaN where no fold has both classes, and for the weak penalties past every target's best, which
    cost most and are not fitted.
    """
    auroc, logits = np.full((len(Cs), rates.shape[1]), np.nan), np.zeros(rates.shape)
    tests = [folds == fold for fold in np.unique(folds)]
    paths = [logistic_path(Z[~test], rates[~test], trials[~test], Cs, _RANKING_TOLERANCE) for test in tests]
    for c, fitted in enumerate(zip(*paths, strict=True)):
        for test, (coef, intercept) in zip(tests, fitted, strict=True):
            logits[test] = Z[test] @ coef + intercept
        auroc[c] = [_auroc(logits[:, k], rates[:, k], trials[:, k], folds) for k in range(rates.shape[1])]
        if c - np.nan_to_num(auroc).argmax(axis=0).max() >= _PATIENCE:
            break
    return auroc


def _auroc(scores: FloatArray, rates: FloatArray, trials: FloatArray, folds: IntArray) -> float:
    """Mean over folds of the AUROC, each rate split into weighted successes and failures."""
    values = []
    for fold in np.unique(folds):
        used = np.flatnonzero((folds == fold) & (trials > 0))
        right, wrong = trials[used] * rates[used], trials[used] * (1 - rates[used])
        if right.sum() > 0 and wrong.sum() > 0:
            labels = np.repeat([1, 0], len(used))
            weights = np.concatenate([right, wrong])
            values.append(roc_auc_score(labels, np.tile(scores[used], 2), sample_weight=weights))
    return float(np.mean(values)) if values else np.nan
