from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from rich.console import Console

from forethought.evaluation.report import render_report, render_table, summary_tables
from forethought.evaluation.report.budget import BUDGET, budget_heading, budget_rows


def interval(value: float, half: float = 0.02) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": 780}


@pytest.fixture
def budget() -> dict[str, Any]:
    """`plain` of a table of three rules."""
    rows = [
        {
            "name": name, "setting": f"set <{name}>", "predicted": 0.0019, "spent": interval(0.00195, 1e-4),
            "over": interval(-0.025), "accuracy": interval(accuracy), "taken": {"gemma-5shot": 1.0},
            "behind": {rule: interval(0.7 - accuracy) for rule in ("batch", "price")},
        }
        for name, accuracy in (("batch", 0.7), ("price", 0.7), ("static mixture", 0.65))
    ]  # fmt: skip
    return {
        "budget": 0.002, "least": 0.001, "n": 780, "n_calibration": 520, "seed": 0, "prefill": 4e-6, "rows": rows,
    }  # fmt: skip


def test_the_section_is_there_only_where_a_budget_was_given(evaluation: dict[str, Any], budget: dict[str, Any]) -> None:
    assert '<p class="kicker">Budget</p>' not in render_report(evaluation)
    page = render_report({**evaluation, "budget": budget})
    assert "At $2.00 per 1,000 questions choosing by question gains 5.0 points against a static mixture" in page
    assert "set &lt;batch&gt;" in page
    assert "certification part (n = 520, labels unread)" in page
    assert "prefill ($0.004 per 1,000)" in page
    assert [len(summary_tables(each)) for each in (evaluation, {**evaluation, "budget": budget})] == [4, 5]


def test_a_row_compares_with_the_others_and_not_with_itself(budget: dict[str, Any]) -> None:
    batch, price, mixture = ([*row] for row in budget_rows(budget))
    assert len(mixture) == len(BUDGET)
    assert batch[-2:] == ["", "+0.0 [−2.0, +2.0]"]
    assert price[-2:] == ["+0.0 [−2.0, +2.0]", ""]
    assert mixture[-2:] == ["+5.0 [+3.0, +7.0]"] * 2
    assert mixture[5] == "−2.5% [−4.5%, −0.5%]"


def test_the_heading_says_losing_and_not_knowing(budget: dict[str, Any]) -> None:
    lost, even, alone = (copy.deepcopy(budget) for _ in range(3))
    lost["rows"][2]["behind"]["price"] = interval(-0.05)
    even["rows"][2]["behind"]["price"] = interval(0.01)
    del alone["rows"][2]
    assert "choosing by question loses 5.0 points" in budget_heading(lost)
    assert "is not shown to beat a static mixture" in budget_heading(even)
    assert "no target is that cheap on its own" in budget_heading(alone)


def test_a_terminal_leaves_out_settings(evaluation: dict[str, Any], budget: dict[str, Any]) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render_table({**evaluation, "budget": budget}))
    said = console.export_text()
    assert "At $2.00 per 1,000 questions (n=780" in said
    assert "set <batch>" not in said
