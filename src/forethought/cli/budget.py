"""`forethought budget`: train a model to decide for itself when a question deserves a vote, under a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from forethought.cli.budget_flags import (
    ARITHMETIC_QUESTIONS,
    Folders,
    ImitationFlags,
    PolicyFlags,
    PracticeFlags,
    SpendFlags,
    TraceFlags,
)
from forethought.cli.console import notes, print_json, print_table, progress

if TYPE_CHECKING:
    from forethought.early_exit import Parts, Source
    from forethought.models import LanguageModel
    from forethought.training import BudgetTable
    from forethought.training.saved import SavedPolicy

app = App(name="budget", help="Train a model to spend votes where they pay: pretrain, sft, ibpo, evaluate.")


@app.command
def pretrain(
    out: Path,
    *,
    steps: int = 2000,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Train a small decoder on written-out arithmetic, not to the end: one that is often wrong has votes to gain.

    A run that was killed goes on from OUT.work when the same command is given again.

    Example: `forethought budget pretrain runs/base`

    Args:
        out: Model folder.
        steps: Updates; about seven a second on one core.
        seed: Of weights and examples.
        json: Print one JSON object.
    """
    from forethought.models import DecoderSize, TrainingPlan, train_small_decoder
    from forethought.training.budget_run import WINDOW

    _free(out)
    size, plan = DecoderSize(context=WINDOW), TrainingPlan(steps=steps, early=0.0)
    losses: list[float] = []
    with progress("pretrain") as report:

        def told(step: int, loss: float) -> None:
            losses.append(loss)
            report(step, steps, f"loss {loss:.3f}")

        work = out.with_name(f"{out.name}.work")
        train_small_decoder(out, seed=seed, size=size, plan=plan, checkpoint=work, progress=told)
    last = losses[-50:]
    if json:
        print_json({"model": str(out), "steps": steps, "loss": sum(last) / len(last) if last else None})
    else:
        print(f"decoder in {out}" + (f": {sum(last) / len(last):.3f} nats a token at the end" if last else ""))


@app.command
def sft(
    out: Path,
    *,
    asked: Annotated[PolicyFlags, Parameter(name="*")] = PolicyFlags(),  # noqa: B008
    traces: Annotated[TraceFlags, Parameter(name="*")] = TraceFlags(),  # noqa: B008
    training: Annotated[ImitationFlags, Parameter(name="*")] = ImitationFlags(),  # noqa: B008
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Teach a model to write votes: sample its own answers, put traces together of them, and imitate these.

    A run that was killed goes on from OUT.work when the same command is given again.

    Example: `forethought budget sft runs/sft --model runs/base`

    Args:
        out: Folder of the new policy.
        asked: The model, its questions, and how trials are sampled.
        traces: What is imitated.
        training: How.
        seed: Of everything drawn.
        json: Print one JSON object.
    """
    from forethought.early_exit import Parts
    from forethought.errors import ConfigError
    from forethought.models import load
    from forethought.training.budget_run import BudgetRun, traceable

    _free(out)
    model = load(asked.model)
    source = _source(model, asked, seed)
    policy = asked.policy(source.policy(asked.system, asked.max_tokens))
    run = BudgetRun(out, _dealt(Parts.read(source)), progress, _note)
    small = traceable(model) is not model
    if small and traces.train == "adapters":
        raise ConfigError("adapters do not reach the head, where a small decoder's choices are new tokens: --train all")
    stage = training.stage(traces, traces.trained(model), small, seed)
    _told(out, run.imitate(asked.model, policy, stage), json=json)


@app.command
def ibpo(
    policy: Path,
    out: Path,
    *,
    spend: Annotated[SpendFlags, Parameter(name="*")] = SpendFlags(),  # noqa: B008
    practice: Annotated[PracticeFlags, Parameter(name="*")] = PracticeFlags(),  # noqa: B008
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Practise under a budget: write, grade, let the programme choose what to learn from, learn (arXiv 2501.17974).

    The questions are those that the policy was begun with. A run that was killed goes on from OUT.work when the same
    command is given again.

    Example: `forethought budget ibpo runs/sft runs/half --budget 0.5`

    Args:
        policy: Folder to start from.
        out: Folder of the new policy.
        spend: The budget, and the method.
        practice: The loop.
        seed: Of everything drawn.
        json: Print one JSON object.
    """
    from forethought.early_exit import Parts
    from forethought.errors import ConfigError
    from forethought.training.budget_run import BudgetRun
    from forethought.training.saved import SavedPolicy

    if out.resolve() == policy.resolve():
        raise ConfigError(f"{out} holds the policy to start from: name another folder")
    _free(out)
    saved = SavedPolicy.read(policy)
    width = saved.learner(policy).model.width if spend.probed else 0
    run = BudgetRun(out, _dealt(Parts.again(saved.questions)), progress, _note)
    new = run.practise(policy, saved, spend.selection(width), practice.config(seed), probe=spend.probed)
    _told(out, new, json=json)


@app.command
def evaluate(
    policies: Folders,
    *,
    limit: int | None = None,
    part: Literal["test", "certify"] = "test",
    samples: int = 1,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """What policies spend and attain on questions that they were not trained on, left to choose and forced both ways.

    `above the line` is accuracy over what tossing a coin for each question attains at the same mean number of trials,
    with the policy's own single answers and votes. `votes where they help` is the mean margin, what a vote adds to a
    question, of the questions voted on less that of the others.

    Example: `forethought budget evaluate runs/sft runs/half`

    Args:
        policies: Folders.
        limit: Only so many questions.
        part: `test` questions, or those to `certify` (validate) on.
        samples: Traces of each question.
        seed: Of the traces.
        json: Print one JSON object.
    """
    from forethought.early_exit import Parts
    from forethought.errors import ConfigError
    from forethought.training import evaluate_budget
    from forethought.training.saved import SavedPolicy

    if not policies:
        raise ConfigError("name at least one policy folder")
    if samples < 1 or (limit is not None and limit < 1):
        raise ConfigError(f"samples and limit must be >= 1, got {samples} and {limit}")
    tables: dict[str, BudgetTable] = {}
    for folder in policies:
        saved = SavedPolicy.read(folder)
        questions = getattr(Parts.again(saved.questions), part)[:limit]
        with progress(str(folder)):
            tables[_name(folder, policies)] = evaluate_budget(
                saved.writer(saved.learner(folder).model, seed=seed), questions, samples=samples
            )
    if json:
        print_json({name: _figures(table) for name, table in tables.items()})
        return
    _show(tables)


def _show(tables: Mapping[str, BudgetTable]) -> None:
    header = ("policy", "right", "voting", "trials", "tokens", "once", "vote")
    worth = ("policy", "above the line", "votes where they help")
    spent, allocated = [], []
    for name, table in tables.items():
        above, margin = table.interval("above_line"), table.interval("margin")
        free = table.free
        shares = (free.success, free.voted, table.once.success, table.vote.success)
        right, voting, once, vote = (f"{values.mean():.3f}" for values in shares)
        spent.append((name, right, voting, f"{free.trials.mean():.2f}", f"{free.tokens.mean():.1f}", once, vote))
        intervals = (f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]" for found in (above, margin))
        allocated.append((name, *intervals))
    count = len(next(iter(tables.values())).levels)
    print_table(f"{count} questions", header, spent)
    print_table("allocation's own worth, with 95 % intervals over questions", worth, allocated)
    for name, table in tables.items():
        levels = table.by_level()
        if levels:
            print_table(
                f"{name}, by level",
                ("level", "questions", "voting", "right", "once", "vote"),
                [_level_row(level, row) for level, row in levels.items()],
            )


def _name(folder: Path, folders: Sequence[Path]) -> str:
    """The folder's last part, where that tells it from the others."""
    return folder.name if [other.name for other in folders].count(folder.name) == 1 else str(folder)


def _level_row(level: float, row: Mapping[str, float]) -> Sequence[str]:
    shares = (f"{row[name]:.3f}" for name in ("share", "accuracy", "once", "vote"))
    return (f"{level:g}", f"{row['questions']:.0f}", *shares)


def _figures(table: BudgetTable) -> dict[str, Any]:
    ways = {
        way: {name: float(values.mean()) for name, values in vars(getattr(table, way)).items()}
        for way in ("free", "once", "vote")
    }
    intervals = {name: table.interval(name)._asdict() for name in ("above_line", "above_line_tokens", "margin")}
    return {"questions": len(table.levels), **ways, **intervals, "by_level": table.by_level()}


def _source(model: LanguageModel, asked: PolicyFlags, seed: int) -> Source:
    """Where questions come from: a small decoder can read arithmetic alone."""
    from forethought.early_exit import Source
    from forethought.early_exit.parts import ARITHMETIC, COMMITTED
    from forethought.training.budget_run import traceable

    if asked.questions is not None:
        return Source(str(asked.questions), asked.limit, seed)
    if traceable(model) is not model:
        return Source(ARITHMETIC, asked.limit or ARITHMETIC_QUESTIONS, seed)
    return Source(COMMITTED, asked.limit, seed)


def _free(out: Path) -> None:
    """Refuse a folder in which something would be lost.

    Raises:
        ConfigError: It is there and not empty.
    """
    from forethought.errors import ConfigError

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not empty: name another folder, or delete it")


def _dealt(parts: Parts) -> Parts:
    """The parts, once it is said how many questions each has."""
    counts = f"{len(parts.train)} to train on, {len(parts.certify)} to validate, {len(parts.test)} to test"
    _note(f"questions: {parts.source.name}, {counts}")
    return parts


def _note(text: str) -> None:
    notes.print(text, markup=False, soft_wrap=True)


def _told(out: Path, saved: SavedPolicy, *, json: bool) -> None:
    last = saved.made[-1]
    if json:
        print_json({"policy": str(out), **last})
        return
    figures = last["figures"]
    shown = ", ".join(f"{key} {figures[key]:.3g}" for key in ("loss", "accuracy", "share", "trials") if key in figures)
    if figures.get("weighed") == 0:
        _note("nothing was learnt in its last updates: no answer was right, or none was within the budget")
    print(f"policy in {out}: {shown} over its last updates")
