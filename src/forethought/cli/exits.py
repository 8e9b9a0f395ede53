"""`forethought exits`: let a model stop before its last layer, and see what that spares and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from forethought.cli.console import console, notes, print_json, progress
from forethought.cli.exit_decoders import SpeculationFlags
from forethought.cli.exit_flags import (
    AnswerFlags,
    BoundFlags,
    ExitFlags,
    GateFlags,
    ModelFlags,
    RolloutFlags,
    SharpenFlags,
    TrainingFlags,
)

if TYPE_CHECKING:
    from forethought.cli.exit_answer import Written
    from forethought.cli.exit_decoders import Decoders
    from forethought.core import DecodingPolicy, Question
    from forethought.early_exit.model import ExitModel
    from forethought.early_exit.saved import SavedExits
    from forethought.early_exit.task import Task

_LONGEST = 128
"""Tokens of an answer, where nobody says."""

app = App(name="exits", help="Let a model stop before its last layer: calibrate, reinforce, generate, evaluate.")


@app.command
def calibrate(
    out: Path,
    *,
    asked: Annotated[ModelFlags, Parameter(name="*")] = ModelFlags(),  # noqa: B008
    where: Annotated[ExitFlags, Parameter(name="*")] = ExitFlags(),  # noqa: B008
    training: Annotated[TrainingFlags, Parameter(name="*")] = TrainingFlags(),  # noqa: B008
    gates: Annotated[GateFlags, Parameter(name="*")] = GateFlags(),  # noqa: B008
    kept: Annotated[BoundFlags, Parameter(name="*")] = BoundFlags(),  # noqa: B008
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Attach exits to a model, teach them what it says at full depth, and certify a threshold.

    Questions are dealt into three parts: to train, to certify, and for `forethought exits evaluate`.

    Work in progress lies in OUT.work. A run that was killed goes on from there when the same command is given again,
    and one with other settings is refused. Finished exits in OUT are not replaced unless --overwrite is stated.

    Example: `forethought exits calibrate runs/exits --model arithmetic-small --every 1 --steps 300`

    Args:
        out: Folder of the exits.
        asked: The model and its questions.
        where: The exits.
        training: How to train.
        gates: How to fit the gates afterwards.
        kept: What to certify.
        overwrite: Replace finished exits in OUT, once the new ones are done.
        seed: Of everything drawn.
        json: Print one JSON object.
    """
    from forethought.early_exit.exit_run import ExitRun
    from forethought.early_exit.model import ExitModel
    from forethought.early_exit.parts import Parts, Source
    from forethought.models import load

    stage, certification = gates.stage(training, seed), kept.certification()
    _checked(out, overwrite=overwrite)
    source = Source.of(asked.model, asked.questions, asked.limit, seed)
    policy = source.policy(asked.system, asked.max_tokens)
    base = load(asked.model)
    model = ExitModel(base, where.config(base.n_layers), seed=seed)
    run = ExitRun(model, Parts.read(source), policy, out, certification, seed, progress, _note)
    _told(out, run.calibrate(stage), json=json)


@app.command
def reinforce(
    exits: Path,
    out: Path,
    *,
    rollouts: Annotated[RolloutFlags, Parameter(name="*")] = RolloutFlags(),  # noqa: B008
    explored: Annotated[SharpenFlags, Parameter(name="*")] = SharpenFlags(),  # noqa: B008
    kept: Annotated[BoundFlags, Parameter(name="*")] = BoundFlags(),  # noqa: B008
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    model: str | None = None,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Reward right answers that stop early, starting from calibrated exits, and certify a threshold again.

    The questions are those that the exits were calibrated on.

    Work in progress lies in OUT.work. A run that was killed goes on from there when the same command is given again,
    and one with other settings is refused. Finished exits in OUT are not replaced unless --overwrite is stated.

    Example: `forethought exits reinforce runs/exits runs/reinforced --lambda 0.5 --steps 120`

    Args:
        exits: Folder to start from.
        out: Folder of the new exits.
        rollouts: How to train.
        explored: Around which rule.
        kept: What to certify.
        overwrite: Replace finished exits in OUT, once the new ones are done.
        model: The model, where it is elsewhere than the exits say.
        seed: Of everything drawn.
        json: Print one JSON object.
    """
    from forethought.early_exit.exit_run import ExitRun
    from forethought.early_exit.parts import Parts
    from forethought.early_exit.saved import SavedExits
    from forethought.errors import ArtifactError, ConfigError

    stage, certification = explored.stage(rollouts, seed), kept.certification()
    if out.resolve() == exits.resolve():
        raise ConfigError(f"{out} holds the exits to start from: name another folder, or a killed run could not go on")
    saved = SavedExits.read(exits)
    _checked(out, overwrite=overwrite)
    if "questions" not in saved.report:
        raise ArtifactError(f"{exits} does not say which questions its exits were made from")
    with_exits = _load(saved, model)
    parts = Parts.again(saved.report["questions"])
    run = ExitRun(with_exits, parts, saved.policy, out, certification, seed, progress, _note)
    _told(out, run.reinforce(stage, saved), json=json)


@app.command
def generate(
    question: str,
    *,
    exits: Path | None = None,
    threshold: float | None = None,
    model: str | None = None,
    answer: Annotated[AnswerFlags, Parameter(name="*")] = AnswerFlags(),  # noqa: B008
    drafts: Annotated[SpeculationFlags, Parameter(name="*")] = SpeculationFlags(),  # noqa: B008
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Answer a question, each token in the colour of its depth; where there are no colours, with its layers behind it.

    What a threshold is certified to keep holds for questions like those that it was certified on. For the committed
    exits these are short factual ones, asked for the final answer only; on others the text may differ from the
    unmodified model's: --compare shows both.

    Example: `forethought exits generate "What is the capital of France?" --threshold 0.8 --compare`

    Args:
        question: What to ask.
        exits: Folder of exits; by default the committed ones.
        threshold: Gate probability above which a token leaves, by default the certified one; with `--speculate`,
            above which drafting goes on, by default 0.5.
        model: The model, where it is elsewhere than the exits say.
        answer: How to answer.
        drafts: How to draft, where the unmodified model is to answer.
        json: Print one JSON object.
    """
    import torch

    from forethought.cli.exit_answer import DepthColours, DepthWriter, write
    from forethought.cli.exit_comparison import warm_up
    from forethought.early_exit.rules import check_threshold

    torch.set_num_threads(1)  # passes of one token are so short that a second thread makes them slower
    if threshold is not None:
        check_threshold(threshold)
    drafts.check()
    asked = _asked(question)
    saved = _saved(exits)
    policy = _policy(saved, answer)
    with_exits = _load(saved, model)
    if answer.max_tokens is None:
        policy = replace(policy, max_tokens=max(1, min(_LONGEST, with_exits.base.context * 2 // 3)))
    decoders = _decoders(with_exits, saved, threshold, drafts)
    task = _task(with_exits, policy, asked, answer.seed)
    writer = DepthWriter(None if json else console, DepthColours(with_exits.config.layers, with_exits.n_layers))
    decoder = decoders.asked(policy)
    if answer.compare:
        warm_up(task, decoders.asked, writer)
    found = write(task, decoder, writer)
    whole = None
    if answer.compare:
        warm_up(task, decoders.unmodified, writer)
        whole = write(task, decoders.unmodified(policy), replace(writer, out=None))
    if json:
        print_json({"question": question, **_record(decoders, found, whole)})
    else:
        _print_answer(decoders, found, whole)


@app.command
def evaluate(
    exits: Path | None = None,
    *,
    questions: Path | None = None,
    limit: int | None = None,
    thresholds: Annotated[Sequence[float], Parameter(consume_multiple=True, negative=())] = (),
    html: Path | None = None,
    model: str | None = None,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Compare thresholds with full depth, static cuts and CALM's softmax gap, on questions that nothing was made from.

    Example: `forethought exits evaluate runs/exits --limit 200 --html exits.html`

    Args:
        exits: Folder of exits; by default the committed ones.
        questions: Other questions than the exits' own test part, as JSON lines.
        limit: Only so many, drawn by the seed and spread over groups.
        thresholds: Of the gates, beside the certified one.
        html: Page to write, with a heat map of answers.
        model: The model, where it is elsewhere than the exits say.
        seed: Of `limit` and the answers.
        json: Print one JSON object.
    """
    from forethought.cli.exit_table import THRESHOLDS, Contest, plain_evaluation, print_evaluation, write_page
    from forethought.early_exit.evaluation import evaluate as evaluate_rules
    from forethought.early_exit.rules import check_threshold
    from forethought.early_exit.task import Task
    from forethought.questions import spread

    for value in thresholds:
        check_threshold(value)
    saved = _saved(exits)
    known, source = _test_part(saved, questions)
    asked = spread(known, limit, seed)
    with_exits = _load(saved, model)
    contest = Contest(
        with_exits,
        Task(with_exits.base, saved.policy, asked, seed),
        saved.report.get("threshold"),
        tuple(thresholds) or THRESHOLDS,
    )
    with progress("evaluate") as report:
        found = evaluate_rules(with_exits, contest.task, contest.rules, report=report)
    if html is not None:
        write_page(contest, found, html, source=source, shown=24)
    if json:
        told = {
            "exits": str(saved.path),
            "source": source,
            "available": len(known),
            "served": contest.served if contest.certified is not None else "unmodified",
        }
        print_json({**told, **plain_evaluation(found)})
        return
    print_evaluation(found)
    if len(asked) < len(known):
        _note(f"--limit: {len(asked)} of the {len(known)} questions of {source} were used, drawn by seed {seed}")
    elif limit is not None and limit > len(known):
        _note(f"--limit {limit}: there are only {len(known)} questions in {source}, and all were used")
    if html is not None:
        _note(f"heat map in {html}")


def _note(text: str) -> None:
    notes.print(text, markup=False, soft_wrap=True)


def _checked(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder in which something would be lost; say so where what is there is going to be replaced.

    Raises:
        ConfigError: It holds finished exits that are to stay, or something that is no exits.
    """
    from forethought.early_exit.exit_run import check_free

    check_free(out, overwrite=overwrite)
    if out.is_dir() and any(out.iterdir()):
        _note(f"the exits in {out} are replaced once the new ones are done")


def _told(out: Path, report: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json({"exits": str(out), **report})
    else:
        print(f"exits in {out}: {report['certificate']['sentence']}")


def _saved(path: Path | None) -> SavedExits:
    from forethought.data import exits
    from forethought.early_exit.saved import SavedExits

    return SavedExits.read(exits() if path is None else path)


def _load(saved: SavedExits, model: str | None) -> ExitModel:
    """The model with its exits.

    Raises:
        ArtifactError: The exits are those of another model.
    """
    from forethought.early_exit.model import ExitModel
    from forethought.models import load

    return ExitModel.load(saved.path, load(model or saved.model))


def _asked(text: str) -> Question:
    """The question of a text.

    Raises:
        DataError: The text is empty.
    """
    from forethought.core import Question
    from forethought.errors import DataError

    if not text.strip():
        raise DataError(f"the question {text!r} is empty: it needs some text")
    return Question.ask(text)


def _policy(saved: SavedExits, answer: AnswerFlags) -> DecodingPolicy:
    """How the question is asked.

    Raises:
        ConfigError: A flag outside its range.
    """
    from forethought.core import DecodingPolicy

    system = saved.policy.system if answer.system is None else answer.system or None
    longest = _LONGEST if answer.max_tokens is None else answer.max_tokens
    return DecodingPolicy(system=system, temperature=answer.temperature, max_tokens=longest)


def _task(model: ExitModel, policy: DecodingPolicy, asked: Question, seed: int) -> Task:
    from forethought.early_exit.task import Task

    return Task(model.base, policy, [asked], seed)


def _decoders(model: ExitModel, saved: SavedExits, threshold: float | None, drafts: SpeculationFlags) -> Decoders:
    """Who writes answers.

    Raises:
        ArtifactError: No threshold is stated, and none was ever looked for.
    """
    from forethought.cli.exit_decoders import Decoders

    if threshold is None and drafts.speculate is None and (threshold := saved.threshold) is None:
        notes.print("no threshold could be certified: the unmodified model answers, at full depth", style="dim")
    return Decoders(model, threshold, drafts)


def _record(decoders: Decoders, found: Written, whole: Written | None) -> dict[str, Any]:
    """An answer as JSON."""
    from forethought.cli.exit_comparison import saved

    record = {"layers": decoders.model.n_layers, **found.plain()}
    if decoders.speculation.speculate is None and decoders.threshold is not None:
        record["threshold"] = decoders.threshold
    if whole is not None:
        record["unmodified"] = {**whole.plain(), "same": whole.tokens == found.tokens}
        record["saved"] = saved(found, whole)
    return record


def _print_answer(decoders: Decoders, found: Written, whole: Written | None) -> None:
    """Print what an answer took, below the answer."""
    from forethought.cli.exit_answer import speculative_summary, summary
    from forethought.cli.exit_comparison import about, comparison
    from forethought.cli.exit_decoders import why_few

    drafted = decoders.speculation.speculate is not None
    said = speculative_summary(found) if drafted else summary(found, decoders.model.n_layers)
    if not drafted and decoders.threshold is not None:
        said += f", threshold {decoders.threshold:g}"
    console.print(said, soft_wrap=True, markup=False)
    if drafted and (why := why_few(found.meter, decoders.model)):  # type: ignore[arg-type]
        console.print(why, soft_wrap=True, markup=False)
    if whole is not None:
        console.print(comparison(found, whole, "drafted" if drafted else "with exits"))
        console.print(about(found, whole), soft_wrap=True, markup=False)


def _test_part(saved: SavedExits, questions: Path | None) -> tuple[list[Question], str]:
    """The questions to judge by, and where they come from.

    Raises:
        ArtifactError: The exits do not say what they were made from.
    """
    from forethought.early_exit.parts import Parts
    from forethought.errors import ArtifactError
    from forethought.questions import read_questions

    if questions is not None:
        return read_questions(questions), str(questions)
    if "questions" not in saved.report:
        raise ArtifactError(f"{saved.path} does not say which questions its exits were made from: name --questions")
    parts = Parts.again(saved.report["questions"])
    return list(parts.test), f"test part of {parts.source.name}"
