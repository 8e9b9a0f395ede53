"""The reference points that stand beside every router."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forethought.metrics._types import AnyArray, FloatArray, IntArray, require, require_same_shape
from forethought.metrics.points import Point, observed_mean, operating_point


@dataclass(frozen=True)
class References:
    """Accuracy and cost of the choices that need no router.

    Attributes:
        best_single: The target that did best on the training part.
        best_single_index: Its column.
        cheapest: The target with the lowest mean cost.
        dearest: The target with the highest mean cost.
        random: A target drawn uniformly.
        oracle: The cheapest of the targets that did best on each question.
        per_group_best: Each group's best target on the training part ('dataset oracle'); None without groups.
    """

    best_single: Point
    best_single_index: int
    cheapest: Point
    dearest: Point
    random: Point
    oracle: Point
    per_group_best: Point | None


def reference_points(
    Y_test: FloatArray,
    cost_test: FloatArray,
    train_success: FloatArray,
    *,
    test_groups: AnyArray | None = None,
    train_groups: AnyArray | None = None,
) -> References:
    """Compute the reference points on test rows; what is chosen is chosen on training rows.

    Args:
        Y_test: Success, shape (n, K), NaN where missing.
        cost_test: USD, shape (n, K).
        train_success: Success on the training part, shape (n_train, K).
        test_groups: Group of each test row, shape (n,).
        train_groups: Group of each training row, shape (n_train,).
    """
    choices = reference_choices(Y_test, cost_test, train_success, test_groups=test_groups, train_groups=train_groups)
    points = {name: operating_point(Y_test, cost_test, choice) for name, choice in choices.items()}
    return References(
        best_single=points["best_single"],
        best_single_index=best_single(train_success),
        cheapest=points["cheapest"],
        dearest=points["dearest"],
        random=_random(Y_test, cost_test),
        oracle=points["oracle"],
        per_group_best=points.get("per_group_best"),
    )


def reference_choices(
    Y_test: FloatArray,
    cost_test: FloatArray,
    train_success: FloatArray,
    *,
    test_groups: AnyArray | None = None,
    train_groups: AnyArray | None = None,
) -> dict[str, IntArray]:
    """Each deterministic reference as a choice of shape (n,), for paired comparisons with a router's.

    Arguments as in `reference_points`. A group that training never saw gets the best single target.
    """
    require_same_shape(Y_test=Y_test, cost_test=cost_test)
    n = len(Y_test)
    mean_cost = observed_mean(cost_test)
    choices = {
        "best_single": np.full(n, best_single(train_success)),
        "cheapest": np.full(n, int(np.argmin(mean_cost))),
        "dearest": np.full(n, int(np.argmax(mean_cost))),
        "oracle": oracle_choice(Y_test, cost_test),
    }
    if test_groups is not None and train_groups is not None:
        choices["per_group_best"] = _per_group_best(train_success, train_groups, test_groups)
    return choices


def best_single(train_success: FloatArray) -> int:
    """Column with the highest mean success on the training part, the first of equals."""
    mean = observed_mean(train_success)
    require(not np.isnan(mean).all(), "no target has a training label; cannot choose the best single one")
    return int(np.nanargmax(mean))


def oracle_choice(Y: FloatArray, cost: FloatArray) -> IntArray:
    """The cheapest of the targets that did best on each question; of all where none was right.

    With success rates (several samples a question) the highest rate wins.
    """
    success = np.where(np.isnan(Y), -1.0, Y)
    best = success == success.max(axis=1, keepdims=True)
    return np.asarray(np.where(best, cost, np.inf).argmin(axis=1), dtype=np.int64)


def _random(Y: FloatArray, cost: FloatArray) -> Point:
    return Point(float(np.nanmean(observed_mean(Y))), float(np.nanmean(observed_mean(cost))))


def _per_group_best(train_success: FloatArray, train_groups: AnyArray, test_groups: AnyArray) -> IntArray:
    choice = np.full(len(test_groups), best_single(train_success))
    for group in np.unique(test_groups):
        rows = train_success[train_groups == group]
        if not np.isnan(rows).all():
            choice[test_groups == group] = best_single(rows)
    return choice
