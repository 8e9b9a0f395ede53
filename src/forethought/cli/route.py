"""`forethought route`: decide for live questions, and let the chosen target answer, alone or by voting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from forethought.cli.console import console, notes, print_json
from forethought.cli.voting import VoteFlags, Voter

if TYPE_CHECKING:
    from forethought.cli.responders import Responders
    from forethought.core import Decision, Question
    from forethought.router import Router
    from forethought.targets.pool import Pool


def route(
    questions: Annotated[Sequence[str], Parameter(negative=())],
    *,
    router: Path = Path("runs/demo/router"),
    pool: Path | None = None,
    policy: str | None = None,
    setting: Annotated[dict[str, float] | None, Parameter(negative=())] = None,
    group: str | None = None,
    target: str | None = None,
    voting: Annotated[VoteFlags, Parameter(name="*")] = VoteFlags(),  # noqa: B008
    explain: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Read each question's prefill, choose among the targets installed here, and answer.

    Example: `forethought route --explain "What is the capital of France?"`

    Example: `forethought route --target smollm2-5shot --vote sequential "What is the capital of France?"`

    Args:
        questions: What to ask.
        router: A fitted router.
        pool: Pool file of the targets and today's prices.
        policy: Rule to decide by instead of the certified one: argmax, tolerance, utility, value, cascade,
            mean_cost_cap, single, or one of them with +floor to abstain.
        setting: Its parameters, such as `--setting.tau 0.1`.
        group: Family of the questions, whose solved examples few-shot targets are shown; by default
            the family that looks most like each question.
        target: Ask this target, without any router.
        voting: Answer by voting.
        explain: Show the decision and call no target.
        json: Print one JSON array.
    """
    from forethought.cli.responders import Responders
    from forethought.core import Question
    from forethought.data import default_examples, default_pool
    from forethought.errors import ConfigError
    from forethought.outcomes import by_group, closest_group
    from forethought.questions import read_questions
    from forethought.targets.pool import read_pool

    rule = voting.rule()
    if explain and (rule is not None or target is not None):
        raise ConfigError(f"--explain calls no target: it cannot go with {'--vote' if target is None else '--target'}")
    today = read_pool(pool or default_pool())
    if target is not None:
        today.entry(target)  # an unknown one is told before anything is printed
    solved = by_group(read_questions(default_examples()))
    if group is not None and group not in solved:
        raise ConfigError(f"no solved examples of group {group!r}; there are {', '.join(sorted(solved))}")
    asked = [Question.ask(text, group=closest_group(text, solved) if group is None else group) for text in questions]
    out = notes if json else console
    callers = Responders(today, solved)
    voter = None if rule is None else Voter(today, solved, rule, voting)
    if target is not None:
        found = [ask_target(target, callers, question, out, voter) for question in asked]
    else:
        loaded = load_router(router, today, policy, setting or {})
        found = [answer_one(loaded, callers, question, explain=explain, out=out, voter=voter) for question in asked]
    if json:
        print_json(found)


def load_router(path: Path, pool: Pool, policy: str | None, setting: dict[str, float]) -> Router:
    """A fitted router at today's prices, under another policy where one is named."""
    from forethought.allocation import policy_from
    from forethought.router import Router

    loaded = Router.load(path, prices=pool.prices, encoder_price=pool.encoder.price)
    return loaded if policy is None else loaded.with_policy(policy_from(policy, setting))


def answer_one(
    router: Router,
    callers: Responders,
    question: Question,
    *,
    explain: bool,
    out: Console = console,
    voter: Voter | None = None,
) -> dict[str, Any]:
    """Decide, answer unless only explaining, print both, and return them as plain data."""
    from forethought.evaluation import plain

    allowed = list(router.heads.names) if explain else usable(router, callers, question)
    if left_out := [name for name in router.heads.names if name not in allowed]:
        notes.print(f"not available here: {', '.join(left_out)}", style="dim")
    decision = router.route(question, allowed=allowed)
    out.print(f"[bold]{escape(question.text)}[/bold]")
    print_decision(decision, out)
    record: dict[str, Any] = {"question": question.text, "decision": plain(decision)}
    if not explain and decision.target is not None:
        record |= answer_by(decision.target, callers, question, out, voter)
    return record


def ask_target(name: str, callers: Responders, question: Question, out: Console, voter: Voter | None) -> dict[str, Any]:
    """Let one target answer without any decision."""
    out.print(f"[bold]{escape(question.text)}[/bold]")
    return {"question": question.text, **answer_by(name, callers, question, out, voter)}


def answer_by(name: str, callers: Responders, question: Question, out: Console, voter: Voter | None) -> dict[str, Any]:
    """Let a target answer, by a vote where there is a voter, print that, and return it as plain data."""
    if voter is not None:
        return voter.answer(name, question, out)
    response = callers.get(name).respond([question], [0])[0]
    spent = f"({response.output_tokens} tokens, {response.seconds:.2f} s)"
    out.print(f"  answer: {escape(response.text)}  [dim]{spent}[/dim]")
    return {"target": name, "answer": response.text}


def usable(router: Router, callers: Responders, question: Question) -> list[str]:
    """Targets that are installed and can be asked this question."""
    installed = callers.installed(router.heads.names)
    return [name for name in installed if callers.can_ask(name, question)]


def print_decision(decision: Decision, out: Console = console) -> None:
    """Print what was expected of every target (cost in USD per million such questions), what was chosen and why."""
    for prediction in decision.predictions:
        mark = "->" if prediction.target == decision.target else "  "
        length = "" if prediction.output_tokens is None else f"  {prediction.output_tokens:5.1f} tokens"
        price = "" if prediction.cost_usd is None else f"  ${prediction.cost_usd * 1e6:.2f} per 1M questions"
        out.print(f"  {mark} {escape(prediction.target):20s} P {prediction.success:.2f}{length}{price}")
    out.print(f"  why: {escape(decision.reason)}")
