"""What the study's tables say: budgets held, allocation's own worth, and every arm, with intervals over questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forethought.bench import Figure
from forethought.metrics import Interval, paired_bootstrap
from forethought.training import BudgetTable

SHARES = (0.25, 0.5, 0.75)
DRAWS = 1000
LATE = 30
"""Updates at the end of practice that the on-policy share is the mean of: 30 x 512 traces."""

Rows = np.ndarray


@dataclass(frozen=True)
class Seed:
    """One seed of the study.

    Attributes:
        tables: By arm, on the same test questions in every seed.
        late: By arm, means of the last updates of what practice reported.
        plain: Success and tokens of majorities of k plain answers, (n, 8).
    """

    tables: Mapping[str, BudgetTable]
    late: Mapping[str, Mapping[str, float]]
    plain: Mapping[str, np.ndarray]


def study_figures(seeds: Sequence[Seed]) -> dict[str, Figure]:
    """Headlines first, then every arm; a seed without an arm is left out of that arm's figures."""
    figures: dict[str, Figure] = {}
    for kind in ("smoothed", "raw"):
        end = "" if kind == "smoothed" else "_raw"
        for share in SHARES:
            arm = f"{kind}-{share:g}"
            having = [seed for seed in seeds if arm in seed.tables]
            if having:
                figures |= _of_budget(having, arm, share, f"q{100 * share:.0f}{end}")
    if "margin_q25" in figures:
        margins = [name for name in figures if name.startswith("margin_q") and not name.endswith("raw")]
        least = min((figures[name] for name in margins), key=lambda figure: figure.value)
        figures["margin_voted_minus_unvoted"] = least.surely_above(0)
    return {**figures, **_arms(seeds), **_plain(seeds)}


def _of_budget(seeds: Sequence[Seed], arm: str, share: float, end: str) -> dict[str, Figure]:
    over = [seed.late[arm]["share"] - share for seed in seeds]
    found = {
        f"share_over_{end}": Figure(float(np.mean(over)), min(over), max(over), len(over)).at_most(0.03),
        f"margin_{end}": _over(seeds, lambda seed, rows: seed.tables[arm].margin(rows)),
        f"above_line_{end}": _over(seeds, lambda seed, rows: seed.tables[arm].above_line(rows)).surely_above(0),
        f"above_line_tokens_{end}": _over(seeds, lambda seed, rows: seed.tables[arm].above_line(rows, "tokens")),
    }
    if all("sv" in seed.tables for seed in seeds):
        found[f"above_base_to_sv_{end}"] = _over(seeds, lambda seed, rows: above_base_to_sv(seed, arm, rows))
    for number, seed in enumerate(seeds):
        found[f"above_line_{end}_seed{number}"] = _over([seed], lambda seed, rows: seed.tables[arm].above_line(rows))
    return found


def above_base_to_sv(seed: Seed, arm: str, rows: Rows) -> float:
    """The paper's own line: from the base's single answers to the model that always votes, at the arm's mean trials."""
    table, always = seed.tables[arm], seed.tables["sv"]
    base, most = seed.plain["success"][rows, 0].mean(), always.free.success[rows].mean()
    share = (table.free.trials[rows].mean() - 1) / (always.free.trials[rows].mean() - 1)
    return float(table.free.success[rows].mean() - (base + share * (most - base)))


def _arms(seeds: Sequence[Seed]) -> dict[str, Figure]:
    """Accuracy, share, trials and tokens of every arm, mean over seeds."""
    figures = {}
    for arm in dict.fromkeys(arm for seed in seeds for arm in seed.tables):
        having = [seed for seed in seeds if arm in seed.tables]
        for name, field in (("accuracy", "success"), ("share", "voted"), ("trials", "trials"), ("tokens", "tokens")):
            figures[f"{name}_{arm}"] = _over(
                having, lambda seed, rows, arm=arm, field=field: getattr(seed.tables[arm].free, field)[rows].mean()
            )
        for way in ("once", "vote"):
            figures[f"accuracy_{arm}_{way}"] = _over(
                having, lambda seed, rows, arm=arm, way=way: getattr(seed.tables[arm], way).success[rows].mean()
            )
    return figures


def _plain(seeds: Sequence[Seed]) -> dict[str, Figure]:
    """The base's plain answers: one, and majorities of independent ones."""
    return {
        f"accuracy_plain_{k}": _over(seeds[:1], lambda seed, rows, k=k: seed.plain["success"][rows, k - 1].mean())
        for k in (1, 3, 5, 8)
    }


def _over(seeds: Sequence[Seed], statistic: Callable[[Seed, Rows], float]) -> Figure:
    """Mean over seeds, with an interval over questions that are drawn once for all of them."""
    count = len(next(iter(seeds[0].tables.values())).levels)
    found = paired_bootstrap(
        lambda rows: float(np.mean([statistic(seed, rows) for seed in seeds])), count, draws=DRAWS, seed=0
    )
    assert isinstance(found, Interval), "one statistic, one interval"
    return Figure(found.value, found.low, found.high, count)
