"""Choose the thriftiest setting whose loss is certified (Learn then Test, 2110.01052)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from forethought.errors import ConfigError
from forethought.metrics._types import FloatArray, require
from forethought.metrics.betting import betting_p
from forethought.metrics.hoeffding_bentkus import hoeffding_bentkus_p

PValue: TypeAlias = Callable[[FloatArray, float], float]
"""Losses in [0, 1] of shape (n,) and a tolerance to a p-value of 'the expected loss exceeds it'."""

BISECTIONS = 30
ORDER_SEED = 0


@dataclass(frozen=True)
class Certificate:
    """What was proven: P(expected loss of `index` <= tolerance) >= 1 - delta.

    Attributes:
        index: Column of the thriftiest certified setting; None is 'insufficient evidence', keep the safe one.
        p_values: Shape (m,), NaN for the settings after the first that failed.
        tolerance: On the scale of the losses.
        delta: Chance of being wrong.
        n: Questions used.
        smallest_tolerance: The least at which the first setting passes at this n, 1 if none does.
            A hint for planning, not a certificate: it was found on the same questions.
    """

    index: int | None
    p_values: FloatArray
    tolerance: float
    delta: float
    n: int
    smallest_tolerance: float


def learn_then_test(
    losses: FloatArray, *, tolerance: float, delta: float, p_value: PValue | str = "betting"
) -> Certificate:
    """Test settings one after the other until the first fails (2110.01052, fixed-sequence testing).

    Each is tested at level delta; stopping at the first failure keeps the chance of certifying
    any setting whose expected loss exceeds the tolerance within delta, whatever the path. Rows are
    read in an order drawn by a fixed seed: a betting bound may stop anywhere, and over rows sorted
    by family it would stop after those that lose nothing and prove what is false.

    Args:
        losses: In [0, 1], shape (n, m), rows independent: settings in columns from safe to thrifty,
            in an order fixed on other data. The safe setting itself has nothing to prove and is no column.
        tolerance: In (0, 1); map it with `map_tolerance` for `signed_loss`.
        delta: In (0, 1).
        p_value: `hoeffding_bentkus`, `betting`, or a function.

    Raises:
        ConfigError: `tolerance`, `delta` or `p_value` not allowed.
        DataError: Losses missing, outside [0, 1] or of another shape.
    """
    if not (0 < tolerance < 1 and 0 < delta < 1):
        raise ConfigError(f"tolerance and delta must lie in (0, 1), got tolerance={tolerance}, delta={delta}")
    require(losses.ndim == 2 and losses.size > 0, f"losses must have shape (n, m), not empty, got {losses.shape}")
    require(bool(((losses >= 0) & (losses <= 1)).all()), "losses must lie in [0, 1] and none may be missing")
    test = _named(p_value)
    losses = losses[np.random.default_rng(ORDER_SEED).permutation(len(losses))]
    p_values = np.full(losses.shape[1], np.nan)
    index: int | None = None
    for k, column in enumerate(losses.T):
        p_values[k] = test(column, tolerance)
        if p_values[k] > delta:
            break
        index = k
    return Certificate(index, p_values, tolerance, delta, len(losses), _smallest(test, losses[:, 0], delta))


def _hoeffding_bentkus(losses: FloatArray, tolerance: float) -> float:
    return hoeffding_bentkus_p(min(float(losses.mean()), 1.0), len(losses), tolerance)


_P_VALUES: dict[str, PValue] = {"betting": betting_p, "hoeffding_bentkus": _hoeffding_bentkus}


def _named(p_value: PValue | str) -> PValue:
    if not isinstance(p_value, str):
        return p_value
    if p_value not in _P_VALUES:
        raise ConfigError(f"unknown p-value {p_value!r}; allowed: {', '.join(sorted(_P_VALUES))}")
    return _P_VALUES[p_value]


def _smallest(test: PValue, losses: FloatArray, delta: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if test(losses, middle) <= delta else (middle, high)
    return high
