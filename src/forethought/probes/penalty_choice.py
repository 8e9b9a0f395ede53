"""Choosing a penalty by what a router earns with it, without chasing noise."""

from __future__ import annotations

import numpy as np

from forethought.errors import DataError
from forethought.probes.base import FloatArray, IntArray


def choose_penalty(scores: FloatArray, Y: FloatArray, loss: FloatArray, folds: IntArray) -> int:
    """Index of the setting to use, from out-of-fold scores.

    Settings whose routed accuracy lies within one standard error (paired by question) of the best
    count as tied: on about a thousand questions their order is mostly noise. Among these the least
    loss wins, then the earlier, stronger one.

    Args:
        scores: Out-of-fold scores `(a, n, K)`, settings from the strongest penalty to the weakest.
        Y: Success rates `(n, K)`, NaN where missing.
        loss: Out-of-fold loss of each setting `(a,)`.
        folds: Fold of each question `(n,)`; accuracy is averaged over folds.
    """
    labelled = ~np.isnan(Y).all(axis=1)
    hits = routed_success(scores[:, labelled], Y[labelled])
    accuracy = fold_mean(hits, folds[labelled])
    gain = hits - hits[accuracy.argmax()]
    error = gain.std(axis=1) / np.sqrt(max(hits.shape[1], 1))
    tied = accuracy >= accuracy.max() - error - 1e-12
    return int(np.where(tied, loss, np.inf).argmin())


def routed_success(scores: FloatArray, Y: FloatArray) -> FloatArray:
    """Success `(a, n)` of the best-scored target, among those whose label is known."""
    chosen = np.where(np.isnan(Y), -np.inf, scores).argmax(axis=-1)
    success: FloatArray = Y[np.arange(len(Y)), chosen]
    return success


def fold_mean(values: FloatArray, folds: IntArray) -> FloatArray:
    """Mean over folds of the mean within a fold, over the last axis."""
    means = np.array([values[..., folds == fold].mean(axis=-1) for fold in np.unique(folds)])
    return np.asarray(means.mean(axis=0))


def check_folds(folds: object, n: int) -> IntArray:
    """Fold numbers `(n,)`.

    Raises:
        DataError: Other length, or fewer than two folds.
    """
    numbers = np.asarray(folds, dtype=np.int64)
    if numbers.shape != (n,):
        raise DataError(f"folds must have shape ({n},), got {numbers.shape}")
    if len(np.unique(numbers)) < 2:
        raise DataError("need at least two folds")
    return numbers


def shuffled_folds(n: int, k: int = 5) -> IntArray:
    """Balanced folds `(n,)` for callers without groups; the same for the same n."""
    return np.random.default_rng(0).permutation(np.arange(n) % min(k, n)).astype(np.int64)
