"""What an operating point would save in a month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from forethought.core import Prices
from forethought.errors import ConfigError, DataError
from forethought.metrics import Interval

Evaluated: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class PriceChange:
    """Other prices than the evaluation's.

    Attributes:
        targets: USD per million tokens by target name.
        encoder: USD per million prompt tokens that the encoder reads.
    """

    targets: Mapping[str, Prices]
    encoder: float = 0.0


@dataclass(frozen=True)
class Savings:
    """Moving a month's questions from a baseline to an operating point.

    Attributes:
        point: Name of the operating point.
        baseline: Target that answers everything today.
        queries: Questions a month.
        baseline_usd: What the baseline costs a month.
        routed_usd: What the operating point costs a month, the encoder's prefill included.
        encoder_usd: The part of it that the encoder's prefill is.
        saved_usd: A month; negative where routing costs more. Its interval is the evaluation's for the
            cost ratio, times the baseline's mean cost: volume scales it and does not narrow it.
        saved_share: The same as a share of the baseline's cost.
        accuracy_change: In shares of questions, paired with the baseline.
        repriced: Whether other prices than the evaluation's were given; the interval then keeps the
            relative width that the evaluation measured, and the choices stay those made at its prices.
    """

    point: str
    baseline: str
    queries: int
    baseline_usd: float
    routed_usd: float
    encoder_usd: float
    saved_usd: Interval
    saved_share: Interval
    accuracy_change: Interval
    repriced: bool = False

    def json(self) -> dict[str, Any]:
        """Plain data, intervals as objects."""
        found = asdict(self)
        for name in ("saved_usd", "saved_share", "accuracy_change"):
            found[name] = getattr(self, name)._asdict()
        return found


def project_savings(
    evaluation: Evaluated,
    *,
    queries_per_month: int,
    baseline: str = "best single",
    point: str = "certified",
    prices: PriceChange | None = None,
) -> Savings:
    """Project the monthly saving and the accuracy change.

    Args:
        evaluation: `Evaluation.json()`.
        queries_per_month: At least 1.
        baseline: `best single`, `dearest`, or the name of a target that is one of the two.
        point: Name of an operating row.
        prices: Prices to tell the costs again at; None keeps the evaluation's.

    Raises:
        ConfigError: No such point or baseline, no price for a target, or `queries_per_month` < 1.
        DataError: The baseline cost nothing, or the evaluation has no interval for the pair.
    """
    if queries_per_month < 1:
        raise ConfigError(f"queries per month must be >= 1, got {queries_per_month}")
    row = _row(evaluation, point)
    target, key = _baseline(evaluation, baseline)
    accuracy, ratio = (_interval(found) for found in row[key])
    before, after, encoder = _costs(evaluation, row, target, prices)
    if before <= 0:
        raise DataError(f"{target} costs {before} USD a question, so nothing can be saved; give prices above 0")
    saved = _saved_share(after / before, ratio)
    return Savings(
        point=point,
        baseline=target,
        queries=queries_per_month,
        baseline_usd=before * queries_per_month,
        routed_usd=after * queries_per_month,
        encoder_usd=encoder * queries_per_month,
        saved_usd=_scaled(saved, before * queries_per_month),
        saved_share=saved,
        accuracy_change=accuracy,
        repriced=prices is not None,
    )


def monthly_savings(
    evaluation: Evaluated, *, queries_per_month: int, baseline: str = "best single", prices: PriceChange | None = None
) -> list[Savings]:
    """`project_savings` of every operating point, in the evaluation's order."""
    return [
        project_savings(
            evaluation, queries_per_month=queries_per_month, baseline=baseline, point=row["name"], prices=prices
        )
        for row in evaluation["operating"]
    ]


def _row(evaluation: Evaluated, point: str) -> Mapping[str, Any]:
    rows: dict[str, Mapping[str, Any]] = {row["name"]: row for row in evaluation["operating"]}
    if point not in rows:
        raise ConfigError(f"no operating point {point!r}; the evaluation has {', '.join(rows)}")
    return rows[point]


def _baseline(evaluation: Evaluated, baseline: str) -> tuple[str, str]:
    """The target's name, and where a row keeps its comparison with it."""
    targets = evaluation["frontier"]["targets"]
    single = str(evaluation["about"]["best_single"])
    dearest = str(max(targets, key=lambda name: targets[name]["cost"]))
    if baseline in ("best single", single):
        return single, "against_best_single"
    if baseline in ("dearest", dearest):
        return dearest, "against_dearest"
    raise ConfigError(
        f"the evaluation compares with best single ({single}) and dearest ({dearest}) only, got baseline {baseline!r}"
    )


def _costs(
    evaluation: Evaluated, row: Mapping[str, Any], target: str, prices: PriceChange | None
) -> tuple[float, float, float]:
    """Mean USD a question of the baseline, of the point, and of the encoder within the point."""
    if prices is None:
        found = evaluation["frontier"]
        return float(found["targets"][target]["cost"]), float(row["cost"]["value"]), float(found["encoder_cost"])
    about = evaluation["about"]
    encoder = about["encoder_tokens"] * prices.encoder / 1e6
    before = _price(prices, target).cost(about["tokens"][target]["input"], about["tokens"][target]["output"])
    answers = sum(
        taken["share"] * _price(prices, name).cost(taken["input_tokens"], taken["output_tokens"])
        for name, taken in row["taken"].items()
    )
    return before, float(answers + encoder), float(encoder)


def _price(prices: PriceChange, target: str) -> Prices:
    if target not in prices.targets:
        raise ConfigError(f"no price for {target!r}; prices were given for {', '.join(prices.targets) or 'no target'}")
    return prices.targets[target]


def _saved_share(ratio: float, measured: Interval) -> Interval:
    """One minus the cost ratio; the measured ratio's relative error carries over to new prices."""
    scale = ratio / (1 + measured.value)
    return Interval(1 - ratio, 1 - scale * (1 + measured.high), 1 - scale * (1 + measured.low), measured.n)


def _scaled(found: Interval, factor: float) -> Interval:
    return Interval(found.value * factor, found.low * factor, found.high * factor, found.n)


def _interval(found: Mapping[str, Any]) -> Interval:
    if any(found[key] is None for key in ("value", "low", "high")):
        raise DataError(f"the evaluation could not give an interval for this pair: {dict(found)}")
    return Interval(found["value"], found["low"], found["high"], found["n"])
