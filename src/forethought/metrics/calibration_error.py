"""How far probabilities are from frequencies."""

from __future__ import annotations

import numpy as np

from forethought.errors import ConfigError
from forethought.metrics._types import AnyArray, FloatArray, IntArray, require, require_same_shape


def brier(y: FloatArray, p: FloatArray) -> float:
    """Mean squared error of probabilities (Brier 1950); any equal shapes, NaN in y left out."""
    y, p = observed(y, p)
    return float(np.mean((p - y) ** 2)) if len(y) else float("nan")


def expected_calibration_error(y: FloatArray, p: FloatArray, bins: int = 15) -> float:
    """Mean over bins of |mean p - mean y|, weighted by their size (Naeini et al. 2015).

    Bins hold equal mass; equal probabilities are never split, so row order does not matter.

    Args:
        y: Success in [0, 1], NaN left out.
        p: Probabilities, of y's shape.
        bins: Number of bins at most.
    """
    y, p = observed(y, p)
    return _ece(y, p, equal_mass_bins(p, bins)) if len(y) else float("nan")


def debiased_ece(
    y: FloatArray, p: FloatArray, bins: int = 15, seed: int = 0, draws: int = 200, trials: int | AnyArray = 1
) -> float:
    """ECE in excess of what a perfectly calibrated model shows at this n, at least 0.

    The noise floor is the mean ECE of y* ~ Binomial(trials, p) / trials in the same bins.

    Args:
        y: Success in [0, 1], NaN left out.
        p: Probabilities, of y's shape.
        bins: Number of bins at most.
        seed: Seed of the draws.
        draws: Number of simulated label sets.
        trials: Samples behind each success rate: a number, or an array of y's shape.
    """
    counts = np.broadcast_to(trials, y.shape)[~np.isnan(y)].astype(np.int64)
    y, p = observed(y, p)
    if not len(y):
        return float("nan")
    require(bool((counts >= 1).all()), "trials must be >= 1 wherever a success rate was observed")
    rng = np.random.default_rng(seed)
    bin_of = equal_mass_bins(p, bins)
    floor = np.mean([_ece(rng.binomial(counts, p) / counts, p, bin_of) for _ in range(draws)])
    return max(_ece(y, p, bin_of) - float(floor), 0.0)


def observed(y: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Flatten to the entries with a label.

    Raises:
        DataError: Shapes differ, or a labelled entry has no probability in [0, 1].
    """
    require_same_shape(y=y, p=p)
    seen = ~np.isnan(y)
    y, p = y[seen], p[seen]
    require(bool(((p >= 0) & (p <= 1)).all()), "probabilities must lie in [0, 1] wherever there is a label")
    return y, p


def equal_mass_bins(p: FloatArray, bins: int) -> IntArray:
    """Bin of each probability, 0 .. at most bins - 1; ties stay together."""
    if bins < 1:
        raise ConfigError(f"bins must be >= 1, got {bins}")
    edges = np.quantile(p, np.arange(1, bins) / bins)
    return np.unique(np.searchsorted(edges, p, side="right"), return_inverse=True)[1].astype(np.int64)


def _ece(y: FloatArray, p: FloatArray, bin_of: IntArray) -> float:
    return float(np.abs(np.bincount(bin_of, weights=p - y)).sum() / len(y))
