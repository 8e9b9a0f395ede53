"""The cost-accuracy frontier that needs no router: mixtures of single targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forethought.metrics._types import FloatArray, require, require_same_shape


@dataclass(frozen=True)
class StaticHull:
    """Upper concave hull of static mixtures (RouterBench's 'Zero router', 2403.12031).

    Attributes:
        cost: USD per question at the corners, rising, shape (m,).
        accuracy: At the corners, rising, shape (m,).
        targets: Column of each corner's target.
    """

    cost: FloatArray
    accuracy: FloatArray
    targets: tuple[int, ...]

    def accuracy_at(self, cost: float) -> float:
        """Best accuracy that a mixture reaches at a mean cost; NaN below the cheapest corner."""
        return float(np.interp(cost, self.cost, self.accuracy, left=np.nan))

    def cost_at(self, accuracy: float) -> float:
        """Lowest mean cost of a mixture with this accuracy; NaN above the best corner."""
        return float(np.interp(accuracy, self.accuracy, self.cost, right=np.nan))


def static_hull(costs: FloatArray, accuracies: FloatArray) -> StaticHull:
    """Find the targets that no mixture of others beats.

    Args:
        costs: Mean USD per question, shape (K,).
        accuracies: Mean success, shape (K,).

    Raises:
        DataError: No targets, shapes differ, or NaN.
    """
    costs, accuracies = np.asarray(costs, dtype=np.float64), np.asarray(accuracies, dtype=np.float64)
    require_same_shape(costs=costs, accuracies=accuracies)
    require(costs.ndim == 1 and costs.size > 0, f"need one cost per target, got shape {costs.shape}")
    require(not (np.isnan(costs) | np.isnan(accuracies)).any(), "costs and accuracies must not be NaN")
    corners: list[int] = []
    for k in np.lexsort((-accuracies, costs)).tolist():
        if corners and accuracies[k] <= accuracies[corners[-1]]:
            continue
        while len(corners) > 1 and _slope(costs, accuracies, corners[-2], corners[-1]) <= _slope(
            costs, accuracies, corners[-1], k
        ):
            corners.pop()
        corners.append(k)
    return StaticHull(costs[corners], accuracies[corners], tuple(corners))


def _slope(costs: FloatArray, accuracies: FloatArray, a: int, b: int) -> float:
    """Accuracy per USD from corner a to the dearer and better corner b."""
    return float((accuracies[b] - accuracies[a]) / (costs[b] - costs[a]))
