"""The share of the gap between the best single target and the oracle that a router captures."""

from __future__ import annotations

import numpy as np

from forethought.metrics._types import AnyArray, FloatArray, IntArray
from forethought.metrics.bootstrap import Interval, paired_bootstrap
from forethought.metrics.points import picked

LEAST_HEADROOM = 0.02


def oracle_accuracy(Y: FloatArray) -> float:
    """Mean over questions of the best target's success; with success rates, of the highest rate.

    One draw a question makes the oracle look better than it is: luck counts as headroom.
    """
    seen = ~np.isnan(Y).all(axis=1)
    return float(np.nanmax(Y[seen], axis=1).mean()) if seen.any() else float("nan")


def gap_captured(Y: FloatArray, choice: IntArray, best_single: int) -> float:
    """(router - best single) / (oracle - best single), NaN without headroom (2603.20895, section 6).

    Args:
        Y: Success in [0, 1], shape (n, K), NaN where missing.
        choice: Router's column per question, shape (n,), -1 abstains and scores 0.
        best_single: Column of the best single target, chosen on the training part.
    """
    routed, single, oracle = _paired(Y, choice, best_single)
    return _ratio(routed, single, oracle) if len(routed) else float("nan")


def gap_interval(
    Y: FloatArray,
    choice: IntArray,
    best_single: int,
    *,
    clusters: AnyArray | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Interval | None:
    """Gap captured with its 95 % paired bootstrap interval, the ratio computed anew in each draw.

    Arguments as in `gap_captured` and `paired_bootstrap`.

    Returns:
        None, for 'undefined', when the lower limit of the headroom is under 2 points: the
        ratio then divides by noise. `n` counts the questions that could be compared.
    """
    seen = _comparable(Y, choice, best_single)
    routed, single, oracle = _paired(Y, choice, best_single)
    if not len(routed):
        return None

    def statistic(rows: IntArray) -> FloatArray:
        return np.array([(oracle[rows] - single[rows]).mean(), _ratio(routed[rows], single[rows], oracle[rows])])

    kept = None if clusters is None else clusters[seen]
    result = paired_bootstrap(statistic, len(routed), clusters=kept, draws=draws, seed=seed)
    assert isinstance(result, list)
    headroom, ratio = result
    return ratio if headroom.low >= LEAST_HEADROOM else None


def _comparable(Y: FloatArray, choice: IntArray, best_single: int) -> np.ndarray:
    """Questions on which both the router's choice and the best single target have a label."""
    return ~np.isnan(picked(Y, choice)) & ~np.isnan(Y[:, best_single])


def _paired(Y: FloatArray, choice: IntArray, best_single: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    seen = _comparable(Y, choice, best_single)
    table = Y[seen]
    oracle = np.nanmax(table, axis=1) if len(table) else np.empty(0)
    return picked(table, choice[seen]), table[:, best_single], oracle


def _ratio(routed: FloatArray, single: FloatArray, oracle: FloatArray) -> float:
    headroom = float((oracle - single).mean())
    return float((routed - single).mean()) / headroom if headroom > 0 else float("nan")
