"""One contender's figures on the report part, each with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.metrics import (
    Interval,
    agreement_zones,
    brier,
    debiased_ece,
    gap_interval,
    mean_auroc,
    paired_bootstrap,
    within_group_auroc,
)

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Truth:
    """What happened on the report rows, and what was known before them.

    Attributes:
        success: Labels, NaN where missing, shape (n, K).
        cost: Recorded tokens at today's prices, USD, shape (n, K).
        groups: Shape (n,).
        best_single: Column of the target that was best on the training part.
        clusters: Connected component of each row, shape (n,).
        trials: Samples behind each label, one number or shape (n, K): a rate over many is less noisy.
    """

    success: Array
    cost: Array
    groups: NDArray[np.str_]
    best_single: int
    clusters: Rows
    trials: int | Array = 1

    def __len__(self) -> int:
        return len(self.success)

    def calibration_error(self, predicted: Array, k: int) -> float:
        """Debiased ECE of target k."""
        trials = np.broadcast_to(self.trials, self.success.shape)[:, k]
        return debiased_ece(self.success[:, k], predicted[:, k], trials=trials)

    def interval(self, statistic: Callable[[Rows], float], draws: int) -> Interval:
        """Bootstrap a statistic of row indices, whole components at a time."""
        interval = paired_bootstrap(statistic, len(self), clusters=self.clusters, draws=draws)
        assert isinstance(interval, Interval)
        return interval


@dataclass(frozen=True)
class Card:
    """Figures of one contender.

    Attributes:
        auroc: Mean over targets.
        within: The same between questions of one group only.
        brier: Mean over labelled cells.
        ece: Calibration error in excess of a perfectly calibrated model of this n, mean over targets.
        accuracy: Of the target with the highest prediction.
        gap: Share of the way from best single to oracle; None where the headroom is not established.
        disagree: Accuracy where targets disagree.
        cost: Mean USD of those answers.
    """

    name: str
    signal: str
    auroc: Interval
    within: Interval
    brier: Interval
    ece: float
    accuracy: Interval
    gap: Interval | None
    disagree: float
    cost: float


def score_card(name: str, signal: str, predicted: Array, truth: Truth, *, draws: int = 1000) -> Card:
    """Score one contender's predictions, shape (n, K), against the truth."""
    choice = np.argmax(predicted, axis=1)
    obtained = np.take_along_axis(truth.success, choice[:, None], 1)[:, 0]
    paid = np.take_along_axis(truth.cost, choice[:, None], 1)[:, 0]
    return Card(
        name=name,
        signal=signal,
        auroc=truth.interval(lambda rows: mean_auroc(truth.success[rows], predicted[rows]), draws),
        within=truth.interval(
            lambda rows: _mean_within(truth.success[rows], predicted[rows], truth.groups[rows]), draws // 5
        ),
        brier=truth.interval(lambda rows: brier(truth.success[rows], predicted[rows]), draws),
        ece=float(np.mean([truth.calibration_error(predicted, k) for k in range(predicted.shape[1])])),
        accuracy=truth.interval(lambda rows: float(np.nanmean(obtained[rows])), draws),
        gap=gap_interval(truth.success, choice, truth.best_single, clusters=truth.clusters, draws=draws),
        disagree=agreement_zones(truth.success, choice).accuracy,
        cost=float(np.nanmean(paid)),
    )


def _mean_within(success: Array, predicted: Array, groups: NDArray[np.str_]) -> float:
    """Mean over the targets that some group has both classes of; NaN where there is none."""
    found = np.array([within_group_auroc(success[:, k], predicted[:, k], groups) for k in range(success.shape[1])])
    return float(np.mean(known)) if (known := found[~np.isnan(found)]).size else float("nan")


@dataclass(frozen=True)
class Difference:
    """How much more of the gap one contender captures than another, paired by question.

    Attributes:
        gap: None where the headroom is not established, as in `Card`.
    """

    name: str
    other: str
    gap: Interval | None
    auroc: Interval


def difference(
    name: str, predicted: Array, other: str, predicted_other: Array, truth: Truth, *, draws: int = 2000
) -> Difference:
    """Compare two contenders on the same questions; the ratio is recomputed in every draw."""

    def gap(rows: Rows) -> float:
        success = truth.success[rows]
        headroom = float(np.nanmean(np.nanmax(success, axis=1)) - np.nanmean(success[:, truth.best_single]))
        gained = _routed(success, predicted[rows]) - _routed(success, predicted_other[rows])
        return gained / headroom if headroom > 0 else float("nan")

    def auroc(rows: Rows) -> float:
        success = truth.success[rows]
        return mean_auroc(success, predicted[rows]) - mean_auroc(success, predicted_other[rows])

    choice = np.argmax(predicted, axis=1)
    alone = gap_interval(truth.success, choice, truth.best_single, clusters=truth.clusters, draws=draws)
    between = None if alone is None else truth.interval(gap, draws)
    return Difference(name, other, between, truth.interval(auroc, draws))


def _routed(success: Array, predicted: Array) -> float:
    return float(np.nanmean(np.take_along_axis(success, np.argmax(predicted, axis=1)[:, None], 1)))
