"""Budgeted allocation over recorded answers, beside lambda utility, tolerance and a static mixture at one mean cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from recorded import SEED, Fold, predicted, read_tables
from tables import Table

from forethought.allocation import Argmax
from forethought.bench import Figure, Options
from forethought.evaluation import Serving, allotments
from forethought.evaluation.budget_rules import expected
from forethought.metrics import paired_bootstrap, picked
from forethought.outcomes import components

SHARES = tuple(step / 10 for step in range(11))
"""Of the way from the cheapest mean cost to that of choosing for accuracy alone, by predictions for the calibration."""

REPORTED = (2, 4, 6, 8)
"""Places in `SHARES` of the budgets that are reported; the others draw the curve between them."""

OURS = ("batch", "price", "stream")
RIVALS = {"lambda utility": "utility", "tolerance": "tolerance", "static mixture": "mixture"}
RULES = (*OURS, *RIVALS)


class Served(NamedTuple):
    """What every rule got and paid for each question under each budget.

    Attributes:
        right: (rules, budgets, n).
        paid: USD, (rules, budgets, n).
        budget: USD of the question's fold, (budgets, n).
    """

    right: np.ndarray
    paid: np.ndarray
    budget: np.ndarray


def recorded_figures(options: Options) -> dict[str, Figure]:
    """Figures of every table that is there; nothing without recorded tables."""
    draws = 200 if options.quick else 1000
    found: dict[str, Figure] = {}
    for table in read_tables(options):
        found |= table_figures(table, serve(table, list(predicted(table))), draws)
    return found


def serve(table: Table, parts: Sequence[Fold]) -> Served:
    """Serve each fold under each budget."""
    shape = (len(RULES), len(SHARES), len(table))
    served = Served(np.empty(shape), np.empty(shape), np.empty(shape[1:]))
    for rows, serving in parts:
        for b, share in enumerate(SHARES):
            budget = budget_at(serving, share)
            served.budget[b, rows] = budget
            by_name = {each.name: each for each in allotments(serving, budget, seed=SEED)}
            for r, name in enumerate(RULES):
                served.right[r, b, rows] = expected(by_name[name].share, table.success[rows])
                served.paid[r, b, rows] = serving.recorded(by_name[name].share, reads=False)
    return served


def budget_at(serving: Serving, share: float) -> float:
    """Mean USD a question at a share of the way, never below what is feasible for the static mixture too."""
    success, cost = serving.calibration
    least, most = cost.min(axis=1).mean(), picked(cost, Argmax().choose(success, cost)).mean()
    return float(max(least + share * (most - least), serving.least, serving.past.cost.mean(axis=0).min()))


def table_figures(table: Table, served: Served, draws: int) -> dict[str, Figure]:
    """Gains in points at equal bills and as set, accuracy and overspending, every interval from the same questions."""
    ours, at = len(OURS), list(REPORTED)

    def statistic(rows: np.ndarray) -> np.ndarray:
        accuracy, bill = 100 * served.right[:, :, rows].mean(axis=2), served.paid[:, :, rows].mean(axis=2)
        over = 100 * (bill / served.budget[:, rows].mean(axis=1) - 1)
        equal = gains_at_equal_bills(accuracy, bill)[:, :, at]
        as_set = (accuracy[:ours, np.newaxis] - accuracy[np.newaxis, ours:])[:, :, at]
        parts = (equal.mean(axis=2), as_set.mean(axis=2), equal[:2], accuracy[1, at], over[:, at])
        return np.concatenate([part.ravel() for part in parts])

    found = paired_bootstrap(statistic, len(table), clusters=components(table.questions), draws=draws, seed=SEED)
    assert isinstance(found, list)
    figures = {name: Figure(*interval) for name, interval in zip(names(table.name), found, strict=True)}
    goals = [f"{table.name}_{ours}_minus_{rival}" for ours in OURS[:2] for rival in ("tolerance", "mixture")]
    return {**figures, **{name: figures[name].surely_above(0) for name in goals}}


def gains_at_equal_bills(accuracy: np.ndarray, bill: np.ndarray) -> np.ndarray:
    """Ours less each rival, where ours mixes two budgets by lot such that it pays what the rival paid.

    Args:
        accuracy: (rules, budgets).
        bill: Mean USD paid, (rules, budgets).

    Returns:
        (ours, rivals, budgets).
    """
    gains = np.empty((len(OURS), len(RIVALS), accuracy.shape[1]))
    for i in range(len(OURS)):
        order = np.argsort(bill[i], kind="stable")
        for j in range(len(RIVALS)):
            rival = len(OURS) + j
            gains[i, j] = np.interp(bill[rival], bill[i, order], accuracy[i, order]) - accuracy[rival]
    return gains


def names(table: str) -> Iterator[str]:
    """Names of the figures of a table, in the order of the statistic."""
    rivals, at = RIVALS.values(), [f"{100 * SHARES[place]:.0f}" for place in REPORTED]
    yield from (f"{table}_{ours}_minus_{rival}" for ours in OURS for rival in rivals)
    yield from (f"{table}_{ours}_minus_{rival}_as_set" for ours in OURS for rival in rivals)
    yield from (f"{table}_{share}_{ours}_minus_{rival}" for ours in OURS[:2] for rival in rivals for share in at)
    yield from (f"{table}_{share}_price_accuracy" for share in at)
    yield from (f"{table}_{share}_{rule}_over_budget" for rule in (*OURS, *rivals) for share in at)
