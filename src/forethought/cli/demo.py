"""`forethought demo`: the main job in five steps on committed questions, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from forethought.cli.console import console, progress
from forethought.errors import UpstreamError

if TYPE_CHECKING:
    from forethought.cli.responders import Responders
    from forethought.core import Question
    from forethought.targets.pool import Pool

QUESTIONS = 600
LAYERS = (0, 10, 16, 20, 23, 27)
READOUTS = ("last", "mean")
TOLERANCE = 0.05
"""Five points, where the study asks for two: 120 questions cannot prove less."""

RECOLLECTED = 40
FAIL_BELOW, WARN_BELOW = 34, 38


def demo(out: Path = Path("runs/demo"), *, questions: int = QUESTIONS, draws: int = 500) -> None:
    """Collect, extract, fit, evaluate and route on committed questions with SmolLM2-135M.

    Six layers, two readouts and one trunk seed, to be done in minutes; `forethought study` does
    the full selection on the whole table.

    Example: `forethought demo`

    Args:
        out: Folder of the run.
        questions: How many of the committed questions.
        draws: Bootstrap draws behind every interval.
    """
    from forethought.cli.evaluate import run_evaluation
    from forethought.cli.fit import certificate_sentence, run_fit
    from forethought.cli.inputs import Inputs
    from forethought.cli.responders import Responders
    from forethought.cli.route import answer_one
    from forethought.data import default_examples, default_pool, default_questions
    from forethought.outcomes import by_group
    from forethought.questions import read_questions, spread, write_questions
    from forethought.router import FitConfig, Router
    from forethought.targets.pool import read_pool

    pool = read_pool(default_pool())
    asked = spread(read_questions(default_questions()), questions, seed=0)
    write_questions(out / "questions.jsonl", asked)
    callers = Responders(pool, by_group(read_questions(default_examples())))
    console.rule("1. collect: are the recorded answers what this machine gives?")
    check_recorded(pool, callers, asked)
    console.rule(f"2. extract: {len(asked)} prefills, {len(LAYERS)} layers x {len(READOUTS)} readouts")
    extract_run(pool, asked, out / "activations", LAYERS, READOUTS)
    console.rule("3. fit: one trunk seed, layers by cross-validated AUROC")
    inputs = Inputs((out / "activations",), questions=out / "questions.jsonl")
    manifest = run_fit(out, inputs, FitConfig(trunk_seeds=1, trunk_keep=1, tolerance=TOLERANCE))
    console.print(certificate_sentence(manifest["certificate"]))
    console.rule("4. evaluate: on questions that nothing was fitted or chosen on")
    run_evaluation(out, inputs, draws)
    console.print(f"report: {out / 'report.html'}")
    console.rule("5. route: live questions, answered by the chosen target")
    router = Router.load(out / "router", prices=pool.prices, encoder_price=pool.encoder.price)
    for question in asked[:: max(1, len(asked) // 4)][:4]:
        answer_one(router, callers, question, explain=False)


def check_recorded(pool: Pool, callers: Responders, questions: list[Question]) -> None:
    """Ask the installed greedy targets again and compare with what is committed.

    Raises:
        UpstreamError: So few answers agree that the model or the engine is not what was recorded.
    """
    from forethought.data import recorded_outcomes
    from forethought.outcomes import Outcomes
    from forethought.questions import spread

    greedy = [target.name for target in pool.targets if target.policy.temperature == 0]
    installed = callers.installed(greedy)
    recorded = {
        (row.question_id, row.target): row.text for row in Outcomes.read(recorded_outcomes()) if row.sample == 0
    }
    agreed = asked = 0
    with progress("ask again") as report:
        for number, name in enumerate(installed):
            share = (RECOLLECTED - asked) // (len(installed) - number)
            chosen = spread(questions, share, seed=number + 1)
            responses = callers.get(name).respond(chosen, [0] * len(chosen))
            agreed += sum(recorded[q.id, name] == r.text for q, r in zip(chosen, responses, strict=True))
            asked += len(chosen)
            report(asked, RECOLLECTED, name)
    console.print(f"{agreed} of {asked} answers of {', '.join(installed)} are the recorded ones, word for word")
    if agreed < FAIL_BELOW / RECOLLECTED * asked:
        raise UpstreamError(
            f"only {agreed} of {asked} answers agree with the recorded ones, at least {FAIL_BELOW} of {RECOLLECTED} "
            "must: the recorded outcomes do not describe these weights on this engine"
        )
    if agreed < WARN_BELOW / RECOLLECTED * asked:
        console.print(
            f"[yellow]warning: fewer than {WARN_BELOW} of {RECOLLECTED} agree; figures may differ a little[/yellow]"
        )


def extract_run(
    pool: Pool, questions: list[Question], store: Path, layers: tuple[int, ...], readouts: tuple[str, ...]
) -> None:
    """Read questions with the pool's encoder; what is already there stays."""
    from forethought.activations import extract, load_encoder

    encoder = load_encoder(pool.encoder.model, system=pool.encoder.system)
    with progress("extract") as report:
        extract(encoder, questions, store, layers=layers, readouts=readouts, report=report)
