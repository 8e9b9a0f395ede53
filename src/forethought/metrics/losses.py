"""Losses that certificates bound: what the chosen setting lost against the safe one, in [0, 1]."""

from __future__ import annotations

import numpy as np

from forethought.metrics._types import FloatArray


def signed_loss(success_safe: FloatArray, success_chosen: FloatArray) -> FloatArray:
    """Success of the safe setting minus the chosen one's, mapped from [-1, 1] to [0, 1].

    Questions that the thrifty setting wins make up for those that it loses.

    Args:
        success_safe: In [0, 1], shape (n,), or (n, 1) to broadcast over settings.
        success_chosen: In [0, 1], shape (n,) or (n, m).
    """
    return np.asarray((success_safe - success_chosen + 1) / 2)


def clipped_loss(success_safe: FloatArray, success_chosen: FloatArray) -> FloatArray:
    """max(0, safe - chosen): CALM's one-sided loss (2207.07061), whose tolerance is not mapped."""
    return np.maximum(success_safe - success_chosen, 0.0)


def map_tolerance(tolerance: float) -> float:
    """A tolerance on safe - chosen, in [-1, 1], to the scale of `signed_loss`."""
    return (tolerance + 1) / 2


def unmap_tolerance(tolerance: float) -> float:
    """The inverse of `map_tolerance`."""
    return 2 * tolerance - 1
