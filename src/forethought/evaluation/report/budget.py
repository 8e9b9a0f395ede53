"""A mean cost per question, and what each rule bought with it, in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forethought.evaluation.report.numbers import change, excludes_zero, per_thousand, percent, points, ranged

BUDGET = (
    "rule", "its setting", "accuracy", "USD per 1,000", "predicted USD per 1,000", "over budget",
    "batch minus it, points", "price minus it, points",
)  # fmt: skip
PRICE = "price"
MIXTURE = "static mixture"
RULES = {
    "batch": "all questions known beforehand",
    PRICE: "one price on cost",
    "stream": "a price that follows what was spent",
}
"""Budgeted allocation; the other rules are what it is compared with."""


def budget_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """One row a rule, budgeted allocation first."""
    return [
        [
            label(row["name"]),
            row["setting"],
            ranged(row["accuracy"], percent),
            ranged(row["spent"], per_thousand),
            per_thousand(row["predicted"]),
            ranged(row["over"], change),
            *("" if row["name"] == rule else ranged(row["behind"][rule], points) for rule in ("batch", PRICE)),
        ]
        for row in found["rows"]
    ]


def label(name: str) -> str:
    """A rule as its row is called."""
    return f"{name}: {RULES[name]}" if name in RULES else name


def budget_title(found: Mapping[str, Any]) -> str:
    """What the table holds."""
    return f"At {per_thousand(found['budget'])} per 1,000 questions (n={found['n']}, 95% intervals, paired)"


def budget_heading(found: Mapping[str, Any]) -> str:
    """Whether choosing by question under the budget beats targets mixed by lot at the same mean cost."""
    start = f"At {per_thousand(found['budget'])} per 1,000 questions"
    row = next((row for row in found["rows"] if row["name"] == MIXTURE), None)
    if row is None:
        return f"{start} only choosing by question is affordable: no target is that cheap on its own"
    gain = row["behind"][PRICE]
    if not excludes_zero(gain):
        return f"{start} choosing by question is not shown to beat a static mixture of targets"
    word = "gains" if gain["value"] > 0 else "loses"
    return (
        f"{start} choosing by question {word} {100 * abs(gain['value']):.1f} points against a static mixture of targets"
    )
