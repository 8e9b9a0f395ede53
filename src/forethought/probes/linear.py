"""LogisticProbe and RidgeProbe: one target, standardised features, a penalty chosen inside `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from forethought.probes.base import FloatArray
from forethought.probes.linear_scorer import LinearScorer, Part
from forethought.probes.logistic_heads import LOGISTIC_CS, fit_heads
from forethought.probes.ridge_path import check_penalties
from forethought.probes.success_classifier import SuccessClassifier

RIDGE_ALPHAS = tuple(10.0 ** (k / 2) for k in range(-4, 13))


class LogisticProbe(SuccessClassifier):
    """L2 logistic regression on standardised features; C by cross-validated AUROC, the stronger on ties.

    On unstandardised activations the best penalty mostly lay at the edge of the paper's grid; here the
    path is long and `edge_` says when the best still is its first or last value.

    Args:
        Cs: Inverse penalties to try.

    Attributes:
        C_: Chosen inverse penalty; `auroc_` the AUROC of each of `Cs`, ascending, mean over folds, NaN
            past the third value after the best.
        coef_: `(1, d)` on raw features; `intercept_` `(1,)`.
        edge_: Whether `C_` lies at an edge of the path.
    """

    def __init__(self, Cs: Sequence[float] = LOGISTIC_CS) -> None:
        self.Cs = Cs

    def fit(self, X: ArrayLike, Y: ArrayLike, trials: ArrayLike | None = None, folds: ArrayLike | None = None) -> Self:
        """Choose C and fit.

        Args:
            X: Features `(n, d)`.
            Y: Two labels `(n,)`; with `trials` success rates in [0, 1], NaN where missing.
            trials: Answers behind each rate `(n,)`: a rate counts as `trials * rate` successes and
                `trials * (1 - rate)` failures.
            folds: Fold of each row `(n,)`; None shuffles rows into five.

        Raises:
            DataError: Labels that do not fit.
        """
        if trials is None:
            y = None if Y is None else column_or_1d(Y, warn=True)
        else:
            y, trials = np.reshape(np.asarray(Y), (-1, 1)), np.reshape(np.asarray(trials), (-1, 1))
        features, rates, weights = self._validate(X, y, trials)
        self._single = True
        heads = fit_heads(features, rates, weights, folds, self.Cs)
        self.coef_, self.intercept_, self._centre = heads.coef, heads.intercept, heads.centre
        self.C_, self.auroc_, self.edge_ = float(heads.C[0]), heads.auroc[:, 0], bool(heads.edge[0])
        return self

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Logit of success `(n,)`."""
        check_is_fitted(self)
        logits: FloatArray = self._features(X, reset=False) @ self.coef_[0] + self.intercept_[0]
        return logits

    def scorer(self) -> LinearScorer:
        """Serving form."""
        check_is_fitted(self)
        return LinearScorer([Part(self._centre, self.coef_.T)], self.intercept_ + self.coef_ @ self._centre)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags

    def _predict_success(self, X: FloatArray) -> FloatArray:
        return np.asarray(expit(X @ self.coef_.T + self.intercept_))


class RidgeProbe(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge on standardised features, penalty by the leave-one-out error that one decomposition gives for all.

    A thin pair of scikit-learn's `StandardScaler` and `RidgeCV`.

    Args:
        alphas: Penalties to try.

    Attributes:
        alpha_: Chosen penalty; `edge_` whether it lies at an edge of the path.
        coef_: `(d,)` on raw features; `intercept_` a number.
    """

    def __init__(self, alphas: Sequence[float] = RIDGE_ALPHAS) -> None:
        self.alphas = alphas

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Choose the penalty and fit `(n, d)` features to `(n,)` values."""
        alphas = check_penalties(self.alphas)
        features, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        scaler = StandardScaler().fit(features)
        ridge = RidgeCV(alphas=alphas).fit(scaler.transform(features), y)
        self.alpha_, self.edge_ = float(ridge.alpha_), ridge.alpha_ in (alphas[0], alphas[-1])
        self.coef_ = ridge.coef_ / scaler.scale_
        self.intercept_ = float(ridge.intercept_ - scaler.mean_ @ self.coef_)
        self._centre = scaler.mean_
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predicted values `(n,)`."""
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=np.float64, reset=False) @ self.coef_ + self.intercept_)

    def scorer(self) -> LinearScorer:
        """Serving form: predictions clipped to [0, 1]."""
        check_is_fitted(self)
        bias = np.array([self.intercept_ + self._centre @ self.coef_])
        return LinearScorer([Part(self._centre, self.coef_[:, None])], bias, link="clip")
