"""What the estimators of P(success) have in common: labels in, columns of probability out."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from forethought.errors import DataError
from forethought.probes.base import FloatArray


class SuccessClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Base of estimators that fit `(n, K)` success rates, NaN where missing.

    A 2-D `Y` holds rates in [0, 1], and `predict_proba` gives P(success) `(n, K)`. A 1-D `y` is an
    ordinary binary problem with any two labels, and `predict_proba` gives scikit-learn's `(n, 2)`.
    Subclasses write `_fit` and `_predict_success`.

    Attributes:
        classes_: Labels of a 1-D problem, `[0, 1]` for success rates.
    """

    _accept_sparse: bool = False

    def fit(self, X: ArrayLike, Y: ArrayLike, trials: ArrayLike | None = None) -> Self:
        """Fit all targets.

        Args:
            X: Features `(n, d)`.
            Y: Success rates `(n, K)`, or two labels `(n,)`.
            trials: Answers behind each rate `(n, K)`, the weight of a binomial likelihood; None is one each.

        Raises:
            DataError: A rate outside [0, 1] or a target without any label.
        """
        self._fit(*self._validate(X, Y, trials))
        return self

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """P(success) `(n, K)`; for a 1-D problem the probability of either class `(n, 2)`."""
        success = self.predict_success(X)
        return np.column_stack([1 - success[:, 0], success[:, 0]]) if self._single else success

    def predict_success(self, X: ArrayLike) -> FloatArray:
        """P(success) `(n, K)`, also for a 1-D problem, where K = 1."""
        check_is_fitted(self)
        return self._predict_success(self._features(X, reset=False))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likelier label `(n,)`, or `(n, K)` of 0 and 1 for success rates."""
        likelier = (self.predict_success(X) > 0.5).astype(int)
        return self.classes_[likelier[:, 0]] if self._single else likelier

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = self._accept_sparse
        return tags

    def _validate(
        self, X: ArrayLike, Y: ArrayLike, trials: ArrayLike | None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Checked features, rates `(n, K)` with NaN where missing, and trials with 0 there."""
        if Y is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        features = self._features(X, reset=True)
        labels = np.asarray(Y)
        self._single = labels.ndim == 1
        rates = self._encode(labels) if self._single else check_rates(labels)
        if not self._single:
            self.classes_: NDArray[Any] = np.array([0, 1])
        if len(rates) != features.shape[0]:
            found = features.shape[0], len(rates)
            raise DataError(f"Found input variables with inconsistent numbers of samples: {found}")
        return features, rates, check_trials(trials, rates)

    def _features(self, X: ArrayLike, *, reset: bool) -> FloatArray:
        sparse = "csr" if self._accept_sparse else False
        features: FloatArray = validate_data(self, X, accept_sparse=sparse, dtype=np.float64, reset=reset)
        return features

    def _encode(self, Y: NDArray[Any]) -> FloatArray:
        y = column_or_1d(Y, warn=True)
        if np.issubdtype(y.dtype, np.floating) and not np.isfinite(y).all():
            raise DataError("Input y contains infinity or NaN; a missing label needs an (n, 1) array of success rates")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2:
            raise DataError(
                "Only binary classification is supported. The type of the target is multiclass; "
                f"got {len(self.classes_)} classes, use an (n, K) array of success rates for several targets"
            )
        if len(self.classes_) < 2:
            raise DataError(f"{type(self).__name__} can't train when only one class is present: {self.classes_}")
        return codes[:, None].astype(np.float64)

    @abstractmethod
    def _fit(self, X: FloatArray, rates: FloatArray, trials: FloatArray) -> None:
        """Fit on checked rates `(n, K)`, NaN where missing, and trials, 0 where missing."""

    @abstractmethod
    def _predict_success(self, X: FloatArray) -> FloatArray:
        """P(success) `(n, K)` of checked features."""


def check_rates(Y: ArrayLike) -> FloatArray:
    """Success rates as floats `(n, K)`, NaN where missing.

    Raises:
        DataError: Not 2-D, a rate outside [0, 1], or a target without any label.
    """
    rates = np.asarray(Y, dtype=np.float64)
    if rates.ndim != 2:
        raise DataError(f"success rates must have shape (n, K), got {rates.shape}")
    if ((rates < 0) | (rates > 1)).any():
        raise DataError(f"success must lie in [0, 1], got values in [{np.nanmin(rates)}, {np.nanmax(rates)}]")
    if empty := np.flatnonzero(np.isnan(rates).all(axis=0)).tolist():
        raise DataError(f"targets without any label cannot be fitted: columns {empty}")
    return rates


def check_trials(trials: ArrayLike | None, rates: FloatArray) -> FloatArray:
    """Answers behind each rate `(n, K)`: 1 without `trials`, 0 where the rate is missing.

    Raises:
        DataError: Another shape than the rates', or a rate with no trial behind it.
    """
    missing = np.isnan(rates)
    if trials is None:
        return np.where(missing, 0.0, 1.0)
    counts = np.asarray(trials, dtype=np.float64)
    counts = counts[:, None] if counts.ndim == 1 else counts
    if counts.shape != rates.shape:
        raise DataError(f"trials must have the shape of the success rates {rates.shape}, got {counts.shape}")
    if not (counts[~missing] > 0).all():
        raise DataError("every success rate needs at least one trial behind it")
    return np.where(missing, 0.0, counts)
