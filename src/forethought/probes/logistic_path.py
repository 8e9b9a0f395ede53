"""L2-penalised logistic regression for many targets at once over a path of penalties."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import eigh
from scipy.special import expit, logit

from forethought.probes.base import FloatArray

_MAX_STEPS = 500


def logistic_path(
    Z: FloatArray, Y: FloatArray, weights: FloatArray, Cs: FloatArray, tolerance: float = 1e-5
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Fit every target at each `C`, from the strongest penalty on, each started at the last one's solution.

    Minimises `-sum w log-likelihood + |coef|^2 / (2 C)`, intercept unpenalised. The curvature of
    the logistic loss is at most a quarter of the weighted Gram matrix (Boehning 1992), so one
    eigendecomposition of that bound serves all targets, missing labels and penalties; the steps
    are accelerated and restarted when they turn uphill (O'Donoghue & Candes 2015). A target with one
    class has no finite solution and gets its smoothed base rate, (successes + 1/2) / (trials + 1).

    Args:
        Z: Features `(n, d)`, best about standardised.
        Y: Rates in [0, 1] `(n, K)`; ignored where the weight is 0.
        weights: Binomial weights `(n, K)`, 0 where a label is missing.
        Cs: Inverse penalties, ascending `(c,)`.
        tolerance: Largest step in the logit of any training row at which it stops.

    Yields:
        `(coef (d, K), intercept (K,))` for each C.
    """
    rotation, basis, curvature = _bound(Z, weights)
    labels, rate = _smooth_one_class(np.where(weights > 0, Y, 0.0), weights)
    start = np.zeros((len(curvature), Y.shape[1]))
    start[0] = logit(rate)
    for C in Cs:
        penalty = np.full(len(curvature), 1.0 / C)
        penalty[0] = 0.0
        start = _minimise(basis, labels, weights, curvature, penalty, start, tolerance)
        coef = rotation @ start[1:]
        yield coef, start[0] - _centre(Z, weights) @ coef


def _smooth_one_class(Y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    total, right = weights.sum(axis=0), (weights * Y).sum(axis=0)
    smooth = (right + 0.5) / (total + 1)
    one_class = (right <= 0) | (right >= total)
    rate = np.where(one_class, smooth, right / np.maximum(total, 1e-300))
    return np.where(one_class, smooth, Y), rate


def _centre(Z: FloatArray, weights: FloatArray) -> FloatArray:
    heaviest = weights.max(axis=1)
    return np.asarray(np.average(Z, axis=0, weights=heaviest))


def _bound(Z: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rotate the centred features so that the curvature's bound is diagonal; column 0 is the intercept."""
    heaviest = weights.max(axis=1)
    centred = Z - _centre(Z, weights)
    scaled = centred * np.sqrt(heaviest)[:, None]
    if len(Z) < Z.shape[1]:
        values, left = eigh(scaled @ scaled.T)
        kept = values > values[-1] * 1e-12
        rotation = scaled.T @ (left[:, kept] / np.sqrt(values[kept]))
    else:
        values, rotation = eigh(scaled.T @ scaled)
        kept = values > max(values[-1], 0.0) * 1e-12
        rotation = rotation[:, kept]
    basis = np.column_stack([np.ones(len(Z)), centred @ rotation])
    return rotation, basis, np.concatenate([[heaviest.sum()], values[kept]]) / 4


def _minimise(
    basis: FloatArray,
    Y: FloatArray,
    weights: FloatArray,
    curvature: FloatArray,
    penalty: FloatArray,
    start: FloatArray,
    tolerance: float,
) -> FloatArray:
    theta, ahead, momentum = start, start, 1.0
    step = 1.0 / (curvature + penalty)[:, None]
    for _ in range(_MAX_STEPS):
        gradient = basis.T @ (weights * (expit(basis @ ahead) - Y)) + penalty[:, None] * ahead
        moved = ahead - step * gradient
        if np.sum(gradient * (moved - theta)) > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead, difference = moved + (momentum - 1) / following * (moved - theta), moved - theta
        theta, momentum = moved, following
        if np.abs(basis @ difference).max() < tolerance:
            break
    return theta
