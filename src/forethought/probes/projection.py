"""Standardise, PCA, standardise again: three steps of the trunk's input that are one affine map."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Projection(NamedTuple):
    """The affine map `z = (x[columns] - centre) @ components`.

    Attributes:
        start: First column read, counted over all features; `stop` the one after the last.
        centre: Feature means, `(d,)` float64: subtracted before single precision begins,
            because some activation dimensions have a mean far above their spread.
        components: `(d, p)` float32.
    """

    start: int
    stop: int
    centre: NDArray[Any]
    components: NDArray[Any]

    def apply(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return scores of unit variance on the fitting rows, `(n, p)` float32."""
        centred = np.subtract(X[:, self.start : self.stop], self.centre, dtype=np.float64)
        scores: NDArray[Any] = centred.astype(np.float32) @ self.components
        return scores


def fit_projection(X: NDArray[Any], columns: tuple[int, int], n_components: int) -> Projection:
    """Fit scaler -> PCA -> scaler on rows `X (n, d)` and fold them into one map.

    The scaling after PCA is ours: arXiv 2603.20895's released code feeds raw scores to the
    network, so its first component has tens of times the scale of its last. Directions without
    variance are dropped, so fewer than `n_components` may come back.

    Args:
        X: All features of the fitting rows.
        columns: First and last-plus-one column to read.
        n_components: Wanted PCA size; at most `min(n, d)` can be had.
    """
    from sklearn.decomposition import PCA

    block = np.asarray(X[:, columns[0] : columns[1]], dtype=np.float64)
    centre = block.mean(axis=0)
    spread = block.std(axis=0)
    spread[spread <= 1e-12 * np.maximum(1.0, np.abs(centre))] = np.inf
    standard = (block - centre) / spread
    pca = PCA(min(n_components, *block.shape), random_state=0).fit(standard)
    deviation = np.sqrt(pca.explained_variance_)
    kept = deviation > 1e-6 * max(float(deviation.max(initial=0.0)), 1e-12)
    components = (pca.components_[kept] / deviation[kept, None] / spread).T
    return Projection(*columns, centre, np.ascontiguousarray(components, dtype=np.float32))
