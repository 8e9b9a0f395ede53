"""Choosing on inner predictions: who stands for a family of contenders, and at which point a router serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from contest import Fitted
from crossfit import Array, View
from numpy.typing import NDArray
from splits import FOLDS

from forethought.allocation import Single, Value
from forethought.allocation.frontier import operating_points
from forethought.metrics import best_single, picked

Choice = NDArray[np.int64]


@dataclass(frozen=True)
class Champion:
    """The best of some contenders, chosen for each fold on the predictions of its training rows.

    Attributes:
        names: Whom each fold chose, (folds,).
        test: Spliced predictions, (n, K), and `inner` (folds, n, K) alike.
    """

    names: tuple[str, ...]
    test: Array
    inner: Array


def champion(view: View, fitted: Mapping[str, Fitted], names: Sequence[str]) -> Champion:
    """Choose by routed accuracy over each fold's training rows; ties go to the earlier name."""
    Y, fold = view.table.success, view.split.fold
    test, inner, chosen = np.empty(Y.shape), np.full((FOLDS, *Y.shape), np.nan), []
    for held in range(FOLDS):
        rows = view.split.train(held)
        accuracy = [routed(Y[rows], fitted[name].predictions.inner[held][rows]).mean() for name in names]
        name = names[int(np.argmax(accuracy))]
        found = fitted[name].predictions
        test[fold == held], inner[held] = found.test[fold == held], found.inner[held]
        chosen.append(name)
    return Champion(tuple(chosen), test, inner)


def routed(Y: Array, P: Array) -> Array:
    """Success of the likeliest target, (n,)."""
    return picked(Y, P.argmax(axis=1))


def single_choice(view: View) -> Choice:
    """The target that is best on each fold's training rows, (n,)."""
    choice = np.empty(len(view.table), dtype=np.int64)
    for held in range(FOLDS):
        choice[view.split.test(held)] = best_single(view.table.success[view.split.train(held)])
    return choice


def thrifty_choice(view: View, test: Array, inner: Array, expected: Array) -> Choice:
    """The cheapest setting of V p - c that loses nothing against the best single target on inner predictions.

    Args:
        view: With costs.
        test: P(success) of each row by a model that never saw it, (n, K).
        inner: (folds, n, K), as in `Predictions`.
        expected: Expected USD of each answer, (folds, n, K), from each fold's training rows.
    """
    table, choice = view.table, np.empty(len(view.table), dtype=np.int64)
    assert table.cost is not None
    for held in range(FOLDS):
        rows, tested = view.split.train(held), view.split.test(held)
        single = best_single(table.success[rows])
        policies = [Single(single), *(Value(worth) for worth in worths(expected[held][rows]))]
        points = operating_points(
            policies, inner[held][rows], expected[held][rows], table.success[rows], spent=table.cost[rows]
        )
        safe = [point for point in points if point.accuracy >= points[0].accuracy]
        best = min(safe, key=lambda point: point.cost)
        choice[tested] = best.policy.choose(test[tested], expected[held][tested])
    return choice


def worths(cost: Array) -> list[float]:
    """What a right answer may be worth in USD: from a tenth of the cheapest answer to a thousand of the dearest."""
    means = cost.mean(axis=0)
    return np.geomspace(1e3 * means.max(), 0.1 * max(means.min(), 1e-12), 80).tolist()


def mean_cost(view: View) -> Array:
    """Mean cost of each target on a fold's training rows, the same for every question; (folds, n, K).

    The published recipe prices a question by each target's median answer; what a sum of answers costs is their mean.
    """
    assert view.table.cost is not None
    expected = np.empty((FOLDS, *view.table.success.shape))
    for held in range(FOLDS):
        expected[held] = view.table.cost[view.split.train(held)].mean(axis=0)
    return expected


def predicted_cost(view: View, fitted: Fitted) -> Array:
    """A cost model's cross-fitted predictions as expected costs, (folds, n, K), never below zero."""
    expected = fitted.predictions.inner.copy()
    for held in range(FOLDS):
        rows = view.split.test(held)
        expected[held, rows] = fitted.predictions.test[rows]
    return np.maximum(expected, 0.0)
