"""The main job by the commands themselves, on the real default model and the committed questions."""

from __future__ import annotations

import json

import pytest

from forethought.cli import main
from forethought.data import default_pool, default_questions, recorded_outcomes
from forethought.outcomes import Outcomes
from forethought.questions import read_questions, write_questions
from forethought.router import Router
from forethought.targets.pool import read_pool

pytestmark = pytest.mark.integration
QUESTIONS, RECOLLECTED = 150, 20


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """Every n-th committed question, so that all families are there."""
    every = read_questions(default_questions())
    path = tmp_path_factory.mktemp("integration") / "questions.jsonl"
    write_questions(path, every[:: len(every) // QUESTIONS][:QUESTIONS])
    return path


@pytest.fixture(scope="module")
def run(questions, tmp_path_factory):
    """Extracted at two layers, fitted on the committed outcomes, evaluated."""
    folder = tmp_path_factory.mktemp("run")
    main(["extract", str(folder / "activations"), f"--questions={questions}", "--layers", "12", "23",
          "--readouts", "last", "mean"])  # fmt: skip
    main(["fit", str(folder), f"--questions={questions}", "--folds=3", "--trunk-seeds=1", "--trunk-keep=1"])
    main(["evaluate", str(folder), f"--questions={questions}", "--draws=40"])
    return folder


def test_answers_are_the_recorded_ones(questions, tmp_path):
    """Greedy fp32 answers repeat on any machine, up to rounding at a few near ties."""
    main(["collect", str(tmp_path), f"--questions={questions}", "--targets", "smollm2-chat", f"--limit={RECOLLECTED}"])
    fresh = Outcomes.read(tmp_path / "outcomes.parquet")
    recorded = {
        (row.question_id, row.target): row.text for row in Outcomes.read(recorded_outcomes()) if row.sample == 0
    }
    agreed = [recorded[row.question_id, row.target] == row.text for row in fresh]
    assert len(agreed) == RECOLLECTED
    assert sum(agreed) >= 0.85 * RECOLLECTED


def test_the_router_decides_between_the_pools_targets(run):
    pool = read_pool(default_pool())
    router = Router.load(run / "router", prices=pool.prices, encoder_price=pool.encoder.price)
    decision = router.route("What is the capital of France?")
    assert decision.target in {target.name for target in pool.targets}
    assert {p.target for p in decision.predictions} == {target.name for target in pool.targets}


def test_the_evaluation_ranks_the_signals(run):
    found = json.loads((run / "evaluation.json").read_text())
    auroc = {card["name"]: card["auroc"]["value"] for card in found["cards"]}
    assert auroc["base rate"] == pytest.approx(0.5)
    assert auroc["forethought"] > 0.55
    assert (run / "report.html").stat().st_size > 50_000


def test_a_live_question_is_answered_by_an_installed_target(run, capsys):
    capsys.readouterr()
    main(["route", "What is the capital of France?", "--router", str(run / "router"), "--json"])
    record = json.loads(capsys.readouterr().out)[0]
    assert record["answer"].strip()
    assert record["decision"]["target"] is not None


def test_another_encoder_is_refused(run, tiny_model, capsys):
    """The artifact names its encoder; a tiny one in its place is refused by the field that differs."""
    from forethought.activations import TransformersEncoder
    from forethought.errors import FeatureError
    from forethought.models import load

    router = Router.load(run / "router", encoder=TransformersEncoder(load(tiny_model)))
    with pytest.raises(FeatureError, match=r"layers .* asked|encoder "):
        router.route("What is the capital of France?")
