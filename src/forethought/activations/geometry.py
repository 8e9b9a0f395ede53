"""Label-free geometry of a layer: effective dimensionality and anisotropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from forethought.activations.components import FloatArray, Scaling, finite_rows, scaled
from forethought.errors import FeatureError


def effective_dimension(X: ArrayLike, *, scaling: Scaling = "centred", corrected: bool = True) -> float:
    """Participation ratio (sum lambda)^2 / sum lambda^2 of the second moments of `X (n, d)`.

    m equal eigenvalues give m. `raw` takes second moments about 0, where one shared direction (a
    large mean) can pull the figure to 1; `centred` the covariance; `standardised` the correlations.

    The plug-in value is too small at finite n: 1 / PR_naive is about 1 / PR + 1 / n on average, so
    it can never exceed n - 1. Corrected, both traces are replaced by U-statistics over distinct rows
    (Himeno & Yamada 2014 for covariances; the row correction of Chun et al., arXiv 2509.26560), each
    unbiased without normality; their ratio keeps a bias of second order. Standardised, the estimated
    scales are taken as known. No correction for unseen features: all of the residual stream is seen.

    Returns:
        The dimension; NaN for rows that do not vary, or where n is too small for a positive estimate.

    Raises:
        FeatureError: Not (n, d), not finite, or fewer than 4 rows.
    """
    rows = scaled(finite_rows(X, least=4), scaling)
    if not corrected:
        trace, square = _moments(rows)
        return _ratio(trace**2, square)
    return _ratio(*(_about_zero(rows) if scaling == "raw" else _about_mean(rows)))


def anisotropy(X: ArrayLike, *, scaling: Scaling = "raw") -> float:
    """Mean cosine between two different rows of `X (n, d)`: near 1 in a narrow cone, 0 when isotropic.

    O(n d): with unit rows u, (|sum u|^2 - n) / (n (n - 1)). Over distinct pairs, hence unbiased for
    raw rows; centring on the rows' own mean lowers it by about 1 / (n - 1).

    Raises:
        FeatureError: Not (n, d), not finite, fewer than 2 rows, or a row of zeros, which has no direction.
    """
    rows = scaled(finite_rows(X), scaling)
    norms = np.linalg.norm(rows, axis=1)
    if not norms.all():
        raise FeatureError(f"row {int(norms.argmin())} is zero ({scaling}) and has no direction")
    n = len(rows)
    total = (rows / norms[:, None]).sum(axis=0)
    return float((total @ total - n) / (n * (n - 1)))


def _moments(rows: FloatArray) -> tuple[float, float]:
    """Sum and sum of squares of the eigenvalues of rows' rows, through the smaller Gram matrix."""
    gram = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    return float(np.trace(gram)), float((gram**2).sum())


def _about_zero(rows: FloatArray) -> tuple[float, float]:
    """Unbiased (tr M)^2 and tr(M^2) of the second moment M, up to one factor: means over pairs of distinct rows."""
    trace, square = _moments(rows)
    fourth = float(((rows**2).sum(axis=1) ** 2).sum())
    return trace**2 - fourth, square - fourth


def _about_mean(rows: FloatArray) -> tuple[float, float]:
    """Unbiased (tr C)^2 and tr(C^2) of the covariance C, up to one factor (Himeno & Yamada 2014, eq. 2.2)."""
    n = len(rows)
    trace, square = _moments(rows)
    trace, square = trace / (n - 1), square / (n - 1) ** 2
    fourth = float(((rows**2).sum(axis=1) ** 2).sum()) / (n - 1)
    first = 2 * square + (n**2 - 3 * n + 1) * trace**2 - n * fourth
    second = (n - 1) * (n - 2) * square + trace**2 - n * fourth
    return first, second


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if numerator > 0 and denominator > 0 else float("nan")
