"""Several layers of one readout as the mean of their standardised vectors."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from forethought.errors import FeatureError


class LayerMean(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Standardise each of L concatenated layers and average them: `(n, L * d)` to `(n, d)`.

    The pooling of the newest released checkpoint of arXiv 2603.20895's authors ("mean of
    independently standardised selected layers").

    Args:
        n_layers: L; the features are L vectors of one width, one after the other.

    Attributes:
        centre_: `(L * d,)`; `spread_` `(L * d,)`, infinite for constant features.
    """

    def __init__(self, n_layers: int = 1) -> None:
        self.n_layers = n_layers

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn means and spreads.

        Raises:
            FeatureError: The width is no multiple of `n_layers`.
        """
        features: NDArray[Any] = validate_data(self, X, dtype=[np.float64, np.float32])
        if self.n_layers < 1 or features.shape[1] % self.n_layers:
            raise FeatureError(f"{features.shape[1]} features cannot be {self.n_layers} layers of one width")
        self.centre_ = features.mean(axis=0, dtype=np.float64)
        spread = features.std(axis=0, dtype=np.float64)
        self.spread_ = np.where(spread > 1e-6 * np.abs(self.centre_), spread, np.inf)
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Return the mean over layers, `(n, d)`."""
        check_is_fitted(self)
        features: NDArray[Any] = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        standard = (features - self.centre_) / self.spread_
        mean: NDArray[Any] = standard.reshape(len(features), self.n_layers, -1).mean(axis=1)
        return mean.astype(features.dtype)
