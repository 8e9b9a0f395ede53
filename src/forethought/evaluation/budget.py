"""A mean cost per question: what budgeted allocation gets for it on the report part, beside other rules at the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

import numpy as np
from numpy.typing import NDArray

from forethought.errors import BudgetError, ConfigError
from forethought.evaluation.budget_rules import Allotment, Forecast, Serving, allotments, expected
from forethought.evaluation.cards import Truth
from forethought.evaluation.evaluate import report_truth
from forethought.metrics import Interval, paired_bootstrap
from forethought.router import Dataset, Fit, PriceList, expected_cost

Array = NDArray[np.float64]

RULES = ("batch", "price")
"""What every row is compared with: the optimum on the predictions, and what serves one question at a time."""


@dataclass(frozen=True)
class BudgetRow:
    """One rule under the budget.

    Attributes:
        name: Of the rule.
        setting: Its setting in words.
        predicted: Mean USD a question by the predictions of the report part.
        spent: Mean USD really paid, the encoder's prefill included where the rule reads it.
        over: That over the budget, less 1.
        accuracy: Mean success.
        behind: Rule of `RULES` -> its accuracy less this one's, paired by question.
        taken: Target -> share of the questions.
    """

    name: str
    setting: str
    predicted: float
    spent: Interval
    over: Interval
    accuracy: Interval
    behind: Mapping[str, Interval]
    taken: Mapping[str, float]


@dataclass(frozen=True)
class BudgetTable:
    """All rules under one budget.

    Attributes:
        budget: Mean USD a question.
        least: The lowest budget that the predictions allow.
        n: Questions of the report part.
        n_calibration: Questions that prices and settings were fitted on, their labels unread.
        seed: Of the stream's order and of draws among equals.
        prefill: Mean USD of the encoder's prefill, within `spent` of the rules that read it.
        rows: Budgeted allocation first.
    """

    budget: float
    least: float
    n: int
    n_calibration: int
    seed: int
    prefill: float
    rows: Sequence[BudgetRow]


def read_budget(text: str) -> float:
    """Read a mean cost such as `0.002/question` or `0.002`, USD a question.

    Raises:
        ConfigError: Anything else, or not a positive number.
    """
    number, slash, unit = text.strip().partition("/")
    try:
        budget = float(number)
    except ValueError:
        budget = float("nan")
    if not 0 < budget < float("inf") or (slash and unit.strip() != "question"):
        raise ConfigError(f"a budget is a positive number of USD a question, as 0.002/question or 0.002; got {text!r}")
    return budget


def evaluate_budget(
    data: Dataset, fit: Fit, prices: PriceList, budget: float, *, draws: int = 1000, seed: int = 0
) -> BudgetTable:
    """Serve the report part under a budget, by every rule.

    Prices and settings are fitted on predictions of the certification part, whose labels only the certificate reads;
    what needs no predictions is chosen on the training part.

    Args:
        data: The data set that the fit was made from.
        fit: The fitted router.
        prices: Today's prices, the encoder's among them.
        budget: Mean USD a question, > 0.
        draws: Bootstrap draws behind every interval.
        seed: Of the stream's order and of draws among equals.

    Raises:
        BudgetError: The budget is below what the cheapest target of every question and the prefill cost; names the
            nearest that is feasible.
    """
    serving, truth = _serving(data, fit, prices), report_truth(data, fit, prices)
    if budget < serving.least:
        raise BudgetError(
            f"a budget of {budget:g} USD a question is below what the cheapest target for each question and the "
            f"encoder's prefill cost; the nearest feasible is {_rounded_up(serving.least)}/question"
        )
    return BudgetTable(
        budget=budget,
        least=serving.least,
        n=len(truth),
        n_calibration=len(serving.calibration.cost),
        seed=seed,
        prefill=float(serving.prefill.mean()),
        rows=budget_rows(serving, allotments(serving, budget, seed=seed), truth, budget, draws=draws),
    )


def budget_rows(
    serving: Serving, served: Sequence[Allotment], truth: Truth, budget: float, *, draws: int
) -> list[BudgetRow]:
    """What each rule spent and got, every interval from the same drawn questions.

    Args:
        serving: What was served from.
        served: What each rule served, those of `RULES` among them.
        truth: What happened.
        budget: Mean USD a question.
        draws: Bootstrap draws.
    """
    right = np.array([expected(each.share, truth.success) for each in served])
    paid = np.array([serving.recorded(each.share, reads=each.reads) for each in served])
    names = [each.name for each in served]
    places = [names.index(rule) for rule in RULES]

    def statistic(rows: NDArray[np.intp]) -> Array:
        accuracy, spent = np.nanmean(right[:, rows], axis=1), np.nanmean(paid[:, rows], axis=1)
        return np.concatenate([accuracy, spent, *(accuracy[place] - accuracy for place in places)])

    found = paired_bootstrap(statistic, len(truth), clusters=truth.clusters, draws=draws)
    assert isinstance(found, list)
    accuracy, spent, *behind = (found[i : i + len(served)] for i in range(0, len(found), len(served)))
    return [
        BudgetRow(
            name=each.name,
            setting=each.setting,
            predicted=serving.predicted(each.share, reads=each.reads),
            spent=spent[i],
            over=_over(spent[i], budget),
            accuracy=accuracy[i],
            behind={rule: gains[i] for rule, gains in zip(RULES, behind, strict=True)},
            taken={
                name: float(part)
                for name, part in zip(serving.targets, each.share.mean(axis=0), strict=True)
                if part > 0
            },
        )
        for i, each in enumerate(served)
    ]


def _serving(data: Dataset, fit: Fit, prices: PriceList) -> Serving:
    parts = fit.parts
    past, report = parts.train, parts.report
    return Serving(
        targets=[target.name for target in data.targets],
        past=Forecast(data.success[past], prices.cost(data.input_tokens[past], data.output_tokens[past])),
        calibration=_forecast(data, fit, prices, parts.certify),
        served=_forecast(data, fit, prices, report),
        paid=prices.cost(data.input_tokens[report], data.output_tokens[report]),
        prefill=prices.encoder_cost(data.encoder_tokens[report]),
    )


def _forecast(data: Dataset, fit: Fit, prices: PriceList, rows: NDArray[np.intp]) -> Forecast:
    """What the router predicts for some rows; the prefill is the same for every target and needs no prediction."""
    heads = fit.router.heads
    success = heads.scorer.predict_proba(heads.features.read(data.stores, data.take(rows)))
    prefill = prices.encoder_cost(data.encoder_tokens[rows])
    return Forecast(success, expected_cost(heads, data, rows, prices) + prefill[:, np.newaxis])


def _over(spent: Interval, budget: float) -> Interval:
    return Interval(spent.value / budget - 1, spent.low / budget - 1, spent.high / budget - 1, spent.n)


def _rounded_up(usd: float) -> str:
    """Four significant digits, never below the number."""
    exact = Decimal(usd)
    return f"{float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 3), rounding=ROUND_CEILING)):g}"
