"""`forethought evaluate --budget` on a run of its own, and on the committed questions by the real default model."""

from __future__ import annotations

import json
import re

import pytest

from forethought.cli import main
from forethought.data import default_questions
from forethought.evaluation import read_budget
from forethought.questions import read_questions, spread, write_questions

RULES = ["batch", "price", "stream", "lambda utility", "tolerance", "best single within", "static mixture"]
QUESTIONS = 100


@pytest.fixture(scope="module")
def copied(run, tmp_path_factory):
    """The session's run under another name, so that its evaluation stays as it is."""
    folder = tmp_path_factory.mktemp("budget")
    for name in ("router", "fit", "activations"):
        (folder / name).symlink_to(run.folder / name)
    return folder


def test_a_budget_adds_a_section_to_the_table_the_json_and_the_page(run, copied, call):
    printed = call("evaluate", copied, *run.inputs, "--draws=40", "--budget", "0.00002/question")
    assert "At $0.02 per 1,000 questions (n=" in printed
    found = json.loads((copied / "evaluation.json").read_text())["budget"]
    assert found["budget"] == 0.00002
    assert [row["name"] for row in found["rows"]] == RULES
    assert '<p class="kicker">Budget</p>' in (copied / "report.html").read_text()
    again = json.loads(call("evaluate", copied, *run.inputs, "--draws=40", "--budget", "0.00002", "--json"))
    assert again["budget"] == found


def test_a_budget_that_is_none_is_refused_before_anything_is_read(refused):
    said = refused("evaluate", "absent", "--budget", "2/1000 questions")
    assert "a budget is a positive number of USD a question" in said
    assert "got '2/1000 questions'" in said


def test_a_budget_below_the_cheapest_is_refused_and_names_one_that_is_not(run, copied, refused, call_json):
    said = refused("evaluate", copied, *run.inputs, "--budget", "1e-9")
    named = re.search(r"nearest feasible is (\S+/question)", said)
    assert named is not None
    found = call_json("evaluate", copied, *run.inputs, "--draws=20", "--budget", named[1])
    assert found["budget"]["budget"] == read_budget(named[1]) >= found["budget"]["least"]


@pytest.mark.integration
def test_the_committed_questions_are_served_under_a_budget(tmp_path, call_json):
    path = tmp_path / "questions.jsonl"
    write_questions(path, spread(read_questions(default_questions()), QUESTIONS, seed=0))
    main(["extract", str(tmp_path / "activations"), f"--questions={path}", "--layers", "12", "--readouts", "last"])
    main(["fit", str(tmp_path), f"--questions={path}", "--folds=3", "--trunk-seeds=1", "--trunk-keep=1",
          "--readouts", "last"])  # fmt: skip
    found = call_json("evaluate", tmp_path, f"--questions={path}", "--draws=40", "--budget", "0.00002/question")
    rows = {row["name"]: row for row in found["budget"]["rows"]}
    assert list(rows) == RULES
    assert rows["batch"]["predicted"] <= 0.00002 * (1 + 1e-9)
    # The dearest target alone takes more than twice the budget.
    assert all(-0.6 < row["over"]["value"] < 0.6 for row in rows.values())
