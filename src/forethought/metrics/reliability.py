"""The reliability diagram's numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forethought.metrics._types import FloatArray, IntArray, require
from forethought.metrics.calibration_error import equal_mass_bins, observed

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Reliability:
    """Predicted against observed, one entry a bin, from low to high probability.

    Attributes:
        mean_p: Mean probability.
        mean_y: Observed success.
        count: Labels in the bin.
        low: Lower end of the observed success's 95 % Wilson interval.
        high: Upper end.
    """

    mean_p: FloatArray
    mean_y: FloatArray
    count: IntArray
    low: FloatArray
    high: FloatArray


def reliability_curve(y: FloatArray, p: FloatArray, bins: int = 15) -> Reliability:
    """Group labels into bins of equal mass; intervals after Wilson (1927).

    Args:
        y: Success in [0, 1], NaN left out.
        p: Probabilities, of y's shape.
        bins: Number of bins at most; equal probabilities share one.
    """
    y, p = observed(y, p)
    require(len(y) > 0, "no labels; a reliability curve needs at least one")
    bin_of = equal_mass_bins(p, bins)
    count = np.bincount(bin_of)
    mean_y = np.bincount(bin_of, weights=y) / count
    low, high = _wilson(mean_y, count)
    return Reliability(np.bincount(bin_of, weights=p) / count, mean_y, count, low, high)


def _wilson(rate: FloatArray, n: IntArray) -> tuple[FloatArray, FloatArray]:
    centre = (rate + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * np.sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
