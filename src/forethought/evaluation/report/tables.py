"""The evaluation as compact tables, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from forethought.evaluation.report.budget import BUDGET, budget_rows, budget_title
from forethought.evaluation.report.numbers import (
    change,
    decimal,
    per_thousand,
    percent,
    points,
    ranged,
    signed,
    wilson,
)
from forethought.evaluation.report.sentences import verdict
from forethought.evaluation.report.source import Evaluated, best_single, cheapest, dearest, ranked

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

REFERENCES = {
    "best_single": "best single on training",
    "cheapest": "cheapest",
    "dearest": "dearest",
    "random": "random",
    "per_group_best": "best of each family on training",
    "oracle": "oracle (cheapest right one)",
}


class Summary(NamedTuple):
    """One table, every cell as text.

    Attributes:
        title: Sentence above it.
        header: Column names.
        rows: First column names the row.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def render_table(evaluation: Evaluated) -> Group:
    """What `forethought evaluate` prints: the verdict, then each table in the columns that matter most."""
    from rich.console import Group
    from rich.text import Text

    said = " ".join(sentence for sentence in verdict(evaluation) if sentence)
    return Group(Text(said), *(Group(Text(), _rich(table)) for table in summary_tables(evaluation)))


def _rich(table: Summary) -> Table:
    from rich.table import Table
    from rich.text import Text

    found = Table(title=Text(table.title), title_justify="left", title_style="bold", header_style="dim")
    shown = [index for index, name in enumerate(table.header) if name not in LEFT_OUT]
    for index in shown:
        found.add_column(Text(table.header[index]), justify="right" if index else "left", overflow="fold")
    for row in table.rows:
        found.add_row(*(Text(row[index].replace(" [", "\n[")) for index in shown))
    return found


def summary_tables(evaluation: Evaluated) -> list[Summary]:
    """Contenders, differences, references, operating points and, where one was given, a budget; every column."""
    n = f"n={evaluation['about']['n_report']}"
    budget = evaluation.get("budget")
    return [
        Summary(f"Contenders ({n}, 95% intervals)", CONTENDERS, contender_rows(evaluation)),
        Summary(f"forethought minus each ({n}, paired)", DIFFERENCES, difference_rows(evaluation)),
        Summary(f"Without a router ({n}, Wilson intervals)", WITHOUT, reference_rows(evaluation)),
        Summary(
            f"Operating points ({n}; cost with the encoder's prefill)",
            operating_header(evaluation),
            operating_rows(evaluation),
        ),
        *([Summary(budget_title(budget), BUDGET, budget_rows(budget))] if budget else []),
    ]


def to_markdown(table: Summary) -> str:
    """A table in Markdown, numbers to the right."""
    rule = [":--", *["--:"] * (len(table.header) - 1)]
    lines = [table.header, rule, *([_escape(cell) for cell in row] for row in table.rows)]
    return f"**{table.title}**\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


CONTENDERS = (
    "contender", "may look at", "accuracy", "gap captured", "AUROC", "AUROC in family", "Brier", "ECE",
    "where targets differ",
)  # fmt: skip
LEFT_OUT = ("may look at", "Brier", "ECE", "where targets differ", "its setting", "predicted USD per 1,000")
"""Columns that Markdown and the page have and a terminal has no room for."""
DIFFERENCES = ("against", "gap captured, points", "AUROC")
WITHOUT = ("reference", "accuracy", "USD per 1,000")
AGAINST = {"against_best_single": "best single", "against_dearest": "dearest"}


def contender_rows(evaluation: Evaluated) -> list[list[str]]:
    """One row a contender, the most accurate first."""
    return [
        [
            card["name"],
            card["signal"],
            ranged(card["accuracy"], percent),
            ranged(card["gap"], percent),
            ranged(card["auroc"], decimal),
            ranged(card["within"], decimal),
            ranged(card["brier"], decimal),
            _maybe(card["ece"], decimal),
            _maybe(card["disagree"], percent),
        ]
        for card in ranked(evaluation)
    ]


def difference_rows(evaluation: Evaluated) -> list[list[str]]:
    """The router minus each contender, paired by question."""
    return [
        [row["other"], ranged(row["gap"], points), ranged(row["auroc"], signed)] for row in evaluation["differences"]
    ]


def reference_rows(evaluation: Evaluated) -> list[list[str]]:
    """What needs no router."""
    n, found = evaluation["about"]["n_report"], evaluation["references"]
    named = {"best_single": best_single, "cheapest": cheapest, "dearest": dearest}
    return [
        [
            f"{label}: {named[key](evaluation)}" if key in named else label,
            ranged(_accuracy(found[key], n), percent),
            per_thousand(found[key]["cost"]),
        ]
        for key, label in REFERENCES.items()
        if found.get(key)
    ]


def operating_header(evaluation: Evaluated) -> list[str]:
    """Column names; best single and dearest share theirs where they are one target."""
    pairs = [name for key in _compared(evaluation) for name in (f"points against {AGAINST[key]}", "cost against it")]
    return ["setting", "accuracy", "USD per 1,000", *pairs, "cost against static mixture"]


def operating_rows(evaluation: Evaluated) -> list[list[str]]:
    """Settings as pairs of accuracy change and cost."""
    return [
        [
            row["name"],
            ranged(row["accuracy"], percent),
            ranged(row["cost"], per_thousand),
            *(
                ranged(found, write)
                for key in _compared(evaluation)
                for found, write in zip(row[key], (points, change), strict=True)
            ),
            "none as good" if row["against_hull"] is None else ranged(row["against_hull"], change),
        ]
        for row in evaluation["operating"]
    ]


def _compared(evaluation: Evaluated) -> list[str]:
    same = best_single(evaluation) == dearest(evaluation)
    return [key for key in AGAINST if not (same and key == "against_dearest")]


def _accuracy(point: Mapping[str, Any], n: int) -> Mapping[str, Any]:
    found = point["accuracy"]
    return found if isinstance(found, Mapping) else wilson(found, n)


def _maybe(found: Any, write: Callable[[float | None], str]) -> str:
    """A number with its interval where the evaluation has one, else the number alone."""
    return ranged(found, write) if isinstance(found, Mapping) else write(found)


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
