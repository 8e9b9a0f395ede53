"""The settings of a policy as points of accuracy and cost, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from forethought.allocation.base import Policy
from forethought.errors import BudgetError, ConfigError
from forethought.metrics import FloatArray, operating_point


class OperatingPoint(NamedTuple):
    """What one setting achieves.

    Attributes:
        policy: The rule with its setting.
        accuracy: Mean success per question, an abstention counted as 0.
        cost: Mean USD per question, an abstention counted as 0.
        abstained: Share of the questions left unanswered.
    """

    policy: Policy
    accuracy: float
    cost: float
    abstained: float = 0.0


def operating_points(
    policies: Sequence[Policy],
    success: FloatArray,
    cost: FloatArray,
    Y: FloatArray,
    *,
    spent: FloatArray | None = None,
) -> list[OperatingPoint]:
    """Let each policy choose and look up what it achieved.

    Args:
        policies: From safe to thrifty.
        success: P(success), shape (n, K).
        cost: Expected USD, shape (n, K): what a policy decides on.
        Y: Success in [0, 1], shape (n, K), NaN where missing; questions whose chosen label is missing do not count.
        spent: USD that each answer really cost, shape (n, K); the expected cost by default.
    """
    paid = cost if spent is None else spent
    return [OperatingPoint(policy, *operating_point(Y, paid, policy.choose(success, cost))) for policy in policies]


def choose_point(
    points: Sequence[OperatingPoint], *, max_loss: float | None = None, max_cost: float | None = None
) -> OperatingPoint:
    """Pick a setting on validation questions; ties go to the safer.

    Args:
        points: From safe to thrifty.
        max_loss: The cheapest point whose accuracy is at most this far under the first's.
        max_cost: The most accurate point whose mean cost is at most this many USD.

    Raises:
        ConfigError: No points, or not exactly one of the two limits.
        BudgetError: No point is that cheap.
    """
    if not points or (max_loss is None) == (max_cost is None):
        raise ConfigError(
            f"need points and exactly one of max_loss and max_cost, got {len(points)} points, "
            f"max_loss={max_loss}, max_cost={max_cost}"
        )
    if max_loss is not None:
        near = [point for point in points if point.accuracy >= points[0].accuracy - max_loss]
        if not near:
            raise ConfigError(f"max_loss must be >= 0, got {max_loss}")
        return min(near, key=lambda point: point.cost)
    affordable = [point for point in points if point.cost <= (max_cost or 0.0)]
    if not affordable:
        least = min(point.cost for point in points)
        raise BudgetError(f"no setting costs {max_cost:g} USD or less on average; the cheapest costs {least:g}")
    return max(affordable, key=lambda point: point.accuracy)
