"""The committed study: its page says what its numbers say, and the README quotes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forethought.evaluation.report import read_evaluation, study_markdown

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "docs" / "study"


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return dict(read_evaluation(STUDY / "evaluation.json"))


def test_the_page_is_written_from_the_numbers(found: dict[str, Any]) -> None:
    assert study_markdown(found) == (STUDY / "README.md").read_text()


def test_the_readme_quotes_the_study(found: dict[str, Any]) -> None:
    readme = (ROOT / "README.md").read_text()
    card = next(card for card in found["cards"] if card["name"] == "forethought")
    accuracy, gap = card["accuracy"], card["gap"]
    assert f"**{100 * accuracy['value']:.1f} %** [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]" in readme
    assert f"{100 * gap['value']:.1f} % [{100 * gap['low']:.1f}, {100 * gap['high']:.1f}]" in readme


def test_parts_that_were_not_computed_leave_no_table(found: dict[str, Any]) -> None:
    assert "Encoders against targets" not in study_markdown({**found, "encoders": []})
