"""Area under the cost-accuracy curve of the tolerance rule (2603.20895 and its released code)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from forethought.metrics._types import FloatArray, require, require_same_shape
from forethought.metrics.hull import static_hull


class Auccc(NamedTuple):
    """Areas above the cheapest target's accuracy, divided by the span of costs.

    Attributes:
        area: The router's, over all tolerances.
        oracle_share: The router's over the oracle's, which spends each USD where it buys most; NaN if that is 0.
        model_only: The single targets' Pareto front.
        lift: Router minus single targets.
    """

    area: float
    oracle_share: float
    model_only: float
    lift: float


class _Span(NamedTuple):
    low: float
    high: float
    floor: float


def p_auccc(success_pred: FloatArray, cost: FloatArray, Y: FloatArray) -> Auccc:
    """Sweep the tolerance over every value that changes a choice and integrate accuracy over cost.

    Each curve runs from the cheapest target's mean cost (padded with its accuracy, the floor) to
    the dearest's (padded with the curve's last accuracy). Rows with a missing label are left out,
    since all points of a sweep must stand on the same questions.

    Args:
        success_pred: P(success), shape (n, K).
        cost: USD, shape (n, K), or (K,) where each target has one.
        Y: Success in [0, 1], shape (n, K).

    Raises:
        DataError: Shapes differ, no complete row, or all targets cost the same.
    """
    cost = np.broadcast_to(np.asarray(cost, dtype=np.float64), Y.shape)
    require_same_shape(success_pred=success_pred, Y=Y)
    whole = ~np.isnan(Y).any(axis=1)
    require(bool(whole.any()), "no question has a label from every target; the area is undefined")
    success_pred, cost, Y = success_pred[whole], cost[whole], Y[whole]
    means, accuracies = cost.mean(axis=0), Y.mean(axis=0)
    span = _Span(float(means.min()), float(means.max()), float(accuracies[means.argmin()]))
    require(span.high > span.low, f"all targets cost {span.low} USD on average; costs must differ")
    area = _area(*_sweep(success_pred, cost, Y), span)
    oracle = _area(*_oracle_frontier(cost, Y), span)
    front = _pareto(means, accuracies)
    model_only = _area(means[front], accuracies[front], span)
    return Auccc(area, area / oracle if oracle > 0 else float("nan"), model_only, area - model_only)


def _sweep(p: FloatArray, cost: FloatArray, Y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean cost and accuracy of the tolerance rule at every tolerance that changes a choice.

    As the tolerance grows a question only ever moves to a cheaper target, so each target that is
    cheaper than all with smaller gaps is one event, and the curve is a running sum of events.
    """
    gap = p.max(axis=1, keepdims=True) - p
    order = np.lexsort((cost, gap), axis=1)
    gap, cost, Y = (np.take_along_axis(table, order, axis=1) for table in (gap, cost, Y))
    cheapest_before = np.minimum.accumulate(cost, axis=1)[:, :-1]
    moves = np.column_stack([np.ones(len(p), dtype=bool), cost[:, 1:] < cheapest_before])
    row, column = np.nonzero(moves)
    first = np.concatenate(([True], row[1:] != row[:-1]))
    spent, gained = (np.diff(table[row, column], prepend=0.0) for table in (cost, Y))
    spent[first], gained[first] = cost[row[first], 0], Y[row[first], 0]
    at = np.argsort(gap[row, column], kind="stable")
    tolerance = gap[row, column][at]
    last = np.concatenate((tolerance[1:] != tolerance[:-1], [True]))
    return np.cumsum(spent[at])[last] / len(p), np.cumsum(gained[at])[last] / len(p)


def _oracle_frontier(cost: FloatArray, Y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Best accuracy at each mean cost with labels known: upgrades bought in order of success per USD."""
    hulls = [static_hull(c, y) for c, y in zip(cost, Y, strict=True)]
    steps = np.concatenate([np.column_stack([np.diff(h.cost), np.diff(h.accuracy)]) for h in hulls])
    steps = steps[np.argsort(-steps[:, 1] / steps[:, 0], kind="stable")]
    start = np.array([[sum(h.cost[0] for h in hulls), sum(h.accuracy[0] for h in hulls)]])
    spent, gained = (np.cumsum(np.concatenate([start, steps]), axis=0) / len(Y)).T
    return spent, gained


def _pareto(cost: FloatArray, accuracy: FloatArray) -> list[int]:
    front: list[int] = []
    for k in np.lexsort((-accuracy, cost)).tolist():
        if not front or accuracy[k] > accuracy[front[-1]]:
            front.append(k)
    return front


def _area(cost: FloatArray, accuracy: FloatArray, span: _Span) -> float:
    """Trapezoid area of accuracy - floor over the span, divided by it."""
    order = np.argsort(cost, kind="stable")
    cost, accuracy = cost[order], accuracy[order]
    if cost[0] > span.low:
        cost, accuracy = np.append(span.low, cost), np.append(span.floor, accuracy)
    inside = cost[(cost > span.low) & (cost < span.high)]
    grid = np.concatenate(([span.low], inside, [span.high]))
    return float(np.trapezoid(np.interp(grid, cost, accuracy) - span.floor, grid)) / (span.high - span.low)
