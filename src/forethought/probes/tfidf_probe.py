"""TF-IDF under logistic regression: the text baseline of every report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted

from forethought.errors import DataError
from forethought.probes.base import FloatArray, IntArray
from forethought.probes.success_classifier import check_rates, check_trials
from forethought.probes.tfidf import TfidfFeatures


class TfidfProbe(BaseEstimator):  # type: ignore[misc]
    """One L2 logistic head a target on TF-IDF features, all with the C of the best mean AUROC.

    Args:
        features: Unfitted features; None is `TfidfFeatures()`.
        Cs: Inverse penalties tried; the path is long because rows have length 1.

    Attributes:
        features_: Fitted features.
        C_: Chosen inverse penalty.
        coef_: `(K, d)`; `intercept_` `(K,)`. A one-class target has zero coefficients and its
            smoothed base rate.
    """

    def __init__(self, features: TfidfFeatures | None = None, Cs: Sequence[float] = (0.1, 1.0, 10.0, 100.0)) -> None:
        self.features = features
        self.Cs = Cs

    def fit(
        self, texts: Sequence[str], Y: ArrayLike, trials: ArrayLike | None = None, folds: ArrayLike | None = None
    ) -> Self:
        """Choose C over the folds and fit.

        Args:
            texts: Questions `(n,)`.
            Y: Success rates `(n, K)`, NaN where missing.
            trials: Answers behind each rate `(n, K)`; None is one each.
            folds: Fold of each row `(n,)`; None shuffles rows into three.
        """
        rates = check_rates(Y)
        if len(texts) != len(rates):
            raise DataError(f"{len(texts)} texts for {len(rates)} rows of success rates")
        weights = check_trials(trials, rates)
        self.features_ = clone(self.features or TfidfFeatures()).fit(texts)
        X = self.features_.transform(texts)
        self.C_ = self._choose(X, rates, weights, _numbers(folds, len(rates)))
        self.coef_, self.intercept_ = _fit_heads(X, rates, weights, self.C_)
        return self

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return P(success) `(n, K)`."""
        check_is_fitted(self)
        return _success(self.features_.transform(texts), self.coef_, self.intercept_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def _choose(self, X: csr_matrix, rates: FloatArray, weights: FloatArray, folds: IntArray) -> float:
        if len(self.Cs) == 1:
            return float(self.Cs[0])
        return float(max(self.Cs, key=lambda C: _cross_validated_auroc(X, rates, weights, folds, C)))


def _cross_validated_auroc(X: csr_matrix, rates: FloatArray, weights: FloatArray, folds: IntArray, C: float) -> float:
    """Mean AUROC over folds and targets with both classes; a rate above 1/2 is a success."""
    values = []
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        p = _success(X[test], *_fit_heads(X[train], rates[train], weights[train], C))
        for k in range(rates.shape[1]):
            used = weights[test, k] > 0
            right = rates[test, k][used] > 0.5
            if 0 < right.sum() < len(right):
                values.append(roc_auc_score(right, p[used, k]))
    return float(np.mean(values)) if values else 0.0


def _fit_heads(X: csr_matrix, rates: FloatArray, weights: FloatArray, C: float) -> tuple[FloatArray, FloatArray]:
    coef, intercept = np.zeros((rates.shape[1], X.shape[1])), np.zeros(rates.shape[1])
    for k in range(rates.shape[1]):
        used = np.flatnonzero(weights[:, k] > 0)
        rate, weight = rates[used, k], weights[used, k]
        right, wrong = weight * rate, weight * (1 - rate)
        intercept[k] = np.log((right.sum() + 0.5) / (wrong.sum() + 0.5))
        if right.sum() > 0 and wrong.sum() > 0:
            # A rate is that many successes and failures of one question.
            rows, labels = vstack([X[used], X[used]]), np.repeat([1, 0], len(used))
            head = LogisticRegression(C=C, max_iter=1000)
            head.fit(rows, labels, sample_weight=np.concatenate([right, wrong]))
            coef[k], intercept[k] = head.coef_[0], head.intercept_[0]
    return coef, intercept


def _success(X: csr_matrix, coef: FloatArray, intercept: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * (X @ coef.T + intercept))))


def _numbers(folds: ArrayLike | None, n: int) -> NDArray[Any]:
    if folds is not None:
        return np.asarray(folds)
    numbers = np.zeros(n, dtype=np.int64)
    for number, (_, test) in enumerate(KFold(min(3, n), shuffle=True, random_state=0).split(numbers)):
        numbers[test] = number
    return numbers
