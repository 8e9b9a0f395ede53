"""Operating points chosen on training predictions and paid for on the report part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forethought.allocation import Policy, choose_point, operating_points
from forethought.evaluation.cards import Truth
from forethought.evaluation.frontier import value_settings
from forethought.metrics import Interval, StaticHull, best_single, picked, static_hull
from forethought.router import Dataset, Fit, PriceList, expected_cost

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Taken:
    """How often a setting takes one target, and how long those answers were.

    Attributes:
        share: Of the questions.
        input_tokens: Mean prompt tokens of those questions.
        output_tokens: Mean answer tokens of those questions.
    """

    share: float
    input_tokens: float
    output_tokens: float


@dataclass(frozen=True)
class OperatingRow:
    """One setting as the pair (accuracy, cost), against what needs no router.

    Attributes:
        name: How the setting was chosen.
        policy: Its rule and setting, in words.
        accuracy: On the report part.
        cost: Mean USD a question, the encoder's prefill included.
        against_best_single: (accuracy change, cost ratio minus one).
        against_dearest: The same against the dearest target.
        against_hull: Cost ratio minus one against the static mixture of the same accuracy; None above the hull's top.
        taken: Per target, so that the cost can be told again at other prices.
    """

    name: str
    policy: str
    accuracy: Interval
    cost: Interval
    against_best_single: tuple[Interval, Interval]
    against_dearest: tuple[Interval, Interval]
    against_hull: Interval | None
    taken: Mapping[str, Taken]


def operating_rows(
    data: Dataset, fit: Fit, routed: Array, expected: Array, truth: Truth, prices: PriceList, *, draws: int
) -> list[OperatingRow]:
    """Evaluate the settings that training predictions would choose.

    Args:
        data: The data set.
        fit: The router.
        routed: P(success) on the report part, shape (n, K).
        expected: Expected USD, shape (n, K).
        truth: What happened.
        prices: Today's prices, the encoder's among them.
        draws: Bootstrap draws.
    """
    overhead = prices.encoder_cost(data.encoder_tokens[fit.parts.report])
    dearest = int(np.nanargmax(np.nanmean(truth.cost, axis=0)))
    rows = []
    for name, policy in {**_chosen(data, fit, prices), "certified": fit.router.policy}.items():
        choice = policy.choose(routed, expected)
        success, paid = picked(truth.success, choice), picked(truth.cost, choice) + overhead
        columns = fit.best_single, dearest
        row = _row(name, f"{policy.name} {policy.setting}", success, paid, truth, columns, draws)
        rows.append(replace(row, taken=_taken(data, fit, choice)))
    return rows


def _chosen(data: Dataset, fit: Fit, prices: PriceList) -> dict[str, Policy]:
    """Settings by name, chosen on out-of-fold predictions of the training part.

    Where a cost is to be matched, what the encoder's own prefill costs is taken off first.
    """
    rows, heads = fit.parts.train, fit.router.heads
    expected = expected_cost(heads, data, rows, prices)
    Y = data.success[rows]
    points = operating_points(value_settings(expected)[::-1], fit.head.out_of_fold, expected, Y)
    single = best_single(Y)
    affordable = float(np.nanmean(expected[:, single]) - prices.encoder_cost(data.encoder_tokens[rows]).mean())
    most_accurate = max(points, key=lambda point: point.accuracy)
    as_good = [p for p in points if p.accuracy >= float(np.nanmean(Y[:, single]))] or [most_accurate]
    chosen = {
        "most accurate": most_accurate.policy,
        "as good as best single": min(as_good, key=lambda point: point.cost).policy,
    }
    if any(point.cost <= affordable for point in points):
        chosen["as dear as best single"] = choose_point(points, max_cost=affordable).policy
    return chosen


def _row(
    name: str, policy: str, success: Array, paid: Array, truth: Truth, columns: tuple[int, int], draws: int
) -> OperatingRow:
    def against(column: int) -> tuple[Interval, Interval]:
        other, price = truth.success[:, column], truth.cost[:, column]
        return (
            truth.interval(lambda rows: float(np.nanmean(success[rows]) - np.nanmean(other[rows])), draws),
            truth.interval(lambda rows: _over(paid[rows], price[rows]), draws),
        )

    return OperatingRow(
        name=name,
        policy=policy,
        accuracy=truth.interval(lambda rows: float(np.nanmean(success[rows])), draws),
        cost=truth.interval(lambda rows: float(np.nanmean(paid[rows])), draws),
        against_best_single=against(columns[0]),
        against_dearest=against(columns[1]),
        against_hull=_against_hull(success, paid, truth, draws),
        taken={},
    )


def _over(paid: Array, price: Array) -> float:
    """Cost ratio minus one; NaN against what is free."""
    spent = float(np.nanmean(price))
    return float(np.nanmean(paid)) / spent - 1 if spent > 0 else float("nan")


def _taken(data: Dataset, fit: Fit, choice: NDArray[np.int64]) -> dict[str, Taken]:
    rows = fit.parts.report
    found = {}
    for k, target in enumerate(data.targets):
        if (chosen := rows[choice == k]).size:
            lengths = (float(np.nanmean(table[chosen, k])) for table in (data.input_tokens, data.output_tokens))
            found[target.name] = Taken(len(chosen) / len(rows), *lengths)
    return found


def _against_hull(success: Array, paid: Array, truth: Truth, draws: int) -> Interval | None:
    def ratio(rows: Sequence[int] | NDArray[np.intp]) -> float:
        hull: StaticHull = static_hull(np.nanmean(truth.cost[rows], axis=0), np.nanmean(truth.success[rows], axis=0))
        accuracy = float(np.nanmean(success[rows]))
        if accuracy > hull.accuracy[-1]:
            return float("nan")
        return _over(paid[rows], np.array([hull.cost_at(accuracy)]))

    found = truth.interval(ratio, draws // 4)
    return None if np.isnan(found.value) or np.isnan(found.low) else found
