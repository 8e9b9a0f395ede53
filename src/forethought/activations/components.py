"""Scaling and principal components of feature rows."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from forethought.errors import FeatureError

FloatArray: TypeAlias = NDArray[np.float64]
Scaling: TypeAlias = Literal["raw", "centred", "standardised"]

_ROUNDING = 1e-6


def finite_rows(X: ArrayLike, least: int = 2) -> FloatArray:
    """Rows (n, d) as float64.

    Raises:
        FeatureError: Not two-dimensional, not finite, or fewer than `least` rows.
    """
    rows: FloatArray = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < least:
        raise FeatureError(f"features must be (n, d) with n >= {least}, got shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise FeatureError(f"features hold {int((~np.isfinite(rows)).sum())} values that are NaN or infinite")
    return rows


def scaled(X: FloatArray, scaling: Scaling) -> FloatArray:
    """Rows as they are, minus their mean, or also divided by each feature's standard deviation.

    Features that are constant up to rounding become 0, lest rounding be taken for a direction.

    Raises:
        FeatureError: No such scaling.
    """
    if scaling == "raw":
        return X
    if scaling not in ("centred", "standardised"):
        raise FeatureError(f"scaling must be 'raw', 'centred' or 'standardised', got {scaling!r}")
    centre, spread = X.mean(axis=0), X.std(axis=0)
    varies = spread > _ROUNDING * np.abs(centre)
    unit = spread if scaling == "standardised" else 1.0
    rows: FloatArray = np.divide(X - centre, unit, out=np.zeros_like(X), where=varies)
    return rows


def principal_scores(X: FloatArray, size: int) -> FloatArray:
    """Scores (n, min(size, rank)) of the standardised rows on their leading principal axes."""
    rows = scaled(X, "standardised")
    wide = rows.shape[0] < rows.shape[1]
    values, vectors = eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = np.flatnonzero(values > _ROUNDING * max(values[-1], _ROUNDING))[::-1][:size]
    scores: FloatArray = vectors[:, kept] * np.sqrt(values[kept]) if wide else rows @ vectors[:, kept]
    return scores
