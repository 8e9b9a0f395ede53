"""The cost-accuracy picture: what each contender buys at every price, and what needs no router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.allocation import Policy, Value
from forethought.evaluation.cards import Truth
from forethought.metrics import Point, operating_point, static_hull
from forethought.router import Dataset, Fit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One contender under the value rule, from the thriftiest setting to accuracy alone."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Frontier:
    """What the picture shows; cost in mean USD a question, without the encoder's own prefill.

    Attributes:
        curves: One a contender.
        targets: Accuracy and cost of each single target by name.
        hull: Upper concave hull of static mixtures of targets, as (accuracy, cost).
        oracle: The best accuracy at each price with the labels known.
        certified: The certified setting.
        encoder_cost: Mean USD that reading the prompts costs, on top of every routed point.
    """

    curves: Sequence[Curve]
    targets: Mapping[str, Point]
    hull: Sequence[Point]
    oracle: Curve
    certified: Point
    encoder_cost: float


def frontier(predictions: Mapping[str, tuple[Array, Array]], truth: Truth, data: Dataset, fit: Fit) -> Frontier:
    """Sweep the value of a right answer for each contender.

    Args:
        predictions: Name -> (P(success), expected USD), each (n, K); costs that are paid are the recorded ones.
        truth: The report part.
        data: The data set.
        fit: The router, for its certified setting and its prices.
    """
    rows = fit.parts.report
    settings = value_settings(truth.cost)
    routed, expected = predictions["forethought"]
    mean_cost = np.nanmean(truth.cost, axis=0)
    accuracy = np.nanmean(truth.success, axis=0)
    hull = static_hull(mean_cost, accuracy)
    return Frontier(
        curves=[Curve(name, _swept(settings, p, cost, truth)) for name, (p, cost) in predictions.items()],
        targets={t.name: Point(float(a), float(c)) for t, a, c in zip(data.targets, accuracy, mean_cost, strict=True)},
        hull=[Point(float(a), float(c)) for a, c in zip(hull.accuracy, hull.cost, strict=True)],
        oracle=Curve("oracle", _swept(settings, np.nan_to_num(truth.success), truth.cost, truth)),
        certified=operating_point(truth.success, truth.cost, fit.router.policy.choose(routed, expected)),
        encoder_cost=float(fit.router.prices.encoder_cost(data.encoder_tokens[rows]).mean()),
    )


def value_settings(cost: Array) -> list[Policy]:
    """A geometric path of values of a right answer around the mean cost of one."""
    scale = max(float(np.nanmean(cost)), 1e-12)
    return [Value(scale * factor) for factor in np.geomspace(1e-3, 1e4, 85).tolist()]


def _swept(settings: Sequence[Policy], success: Array, cost: Array, truth: Truth) -> list[Point]:
    paid = np.nan_to_num(cost)
    return [operating_point(truth.success, truth.cost, policy.choose(success, paid)) for policy in settings]
