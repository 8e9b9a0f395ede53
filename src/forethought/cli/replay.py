"""`forethought replay`: what stopping rules would have drawn and returned on recorded samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from forethought.cli.console import console, notes, print_json, print_table, progress

if TYPE_CHECKING:
    from forethought.core import Prices
    from forethought.evaluation import RuleCard, RuleReplays
    from forethought.evaluation.voting import Contest, Rule
    from forethought.metrics import IntArray
    from forethought.voting.samples import Samples

Setting = Annotated[dict[str, float | str] | None, Parameter(negative=())]


WIDE = 125
"""Columns of a terminal from which one table holds everything."""

RESULT = ("rule", "right", "samples", "samples vs MV")


def replay(
    samples: Path | None = None,
    *,
    target: str | None = None,
    rules: Annotated[Sequence[str], Parameter(consume_multiple=True, negative=())] = (),
    rule: str | None = None,
    setting: Setting = None,
    questions: Path | None = None,
    pool: Path | None = None,
    orders: int = 4,
    draws: int = 1000,
    seed: int = 0,
    out: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Compare stopping rules on recorded samples: how often each is right, and what it draws for that.

    A rule is named with its cap first: `SV 8/3` stops at 3 equal of at most 8 answers. Tokens a question: `out` are
    generated, `prompt` paid anew with every answer, `cached` those of one prompt read once. `rounds` is how often
    answers are waited for, `agreed` how often the rule was content before its cap; USD counts no prefix cache.
    `samples vs MV` sets a rule's samples against those of the cheapest mixture of majority votes that is right as
    often. `bayes` has the prior of the other half of the record, `bayes ... broad` that of an unknown model.

    Example: `forethought replay --rule sequential --setting.cap 8 --setting.consensus 3`

    Args:
        samples: Outcomes as Parquet with several samples a question; by default the committed ones.
        target: Whose samples, where the table has several targets.
        rules: Only these of the standard rules, such as `sequential`, `SV` or `"SV 8/3"`; or any rule at its defaults.
        rule: One more rule, with `--setting`; without `--rules` it alone is compared with the single answer
            and the paper's sequential vote.
        setting: The rule's settings, such as `--setting.cap 8`.
        questions: Questions as JSON lines, to draw what belongs together at once; by default the committed ones.
        pool: Pool file with the target's prices; by default that of the committed samples.
        orders: Orders in which each question's answers are shown.
        draws: Bootstrap draws behind every interval.
        seed: Seed of the orders and the draws.
        out: Folder for replay.json, frontier.png and frontier.svg.
        json: Print one JSON object.
    """
    from forethought.errors import ConfigError
    from forethought.evaluation import replay_rules

    recorded = _merged(_read(samples, target), questions)
    compared, left_out = _rules(recorded.drawn, rules, rule, setting or {})
    clusters, prices = _clusters(recorded, questions), _prices(pool, recorded.target)
    if draws < 1:
        raise ConfigError(f"draws must be >= 1, got {draws}")
    if out is not None:
        _make(out)
    with progress("replay") as report:
        replays = replay_rules(recorded, compared, orders=orders, seed=seed, clusters=clusters, report=report)
    cards = replays.cards(draws=draws, prices=prices)
    contests = _contests(replays, draws)
    if left_out:
        notes.print(f"left out, {recorded.drawn} answers being recorded: {', '.join(left_out)}", style="dim")
    found = _plain(recorded, cards, contests, {"orders": orders, "draws": draws, "seed": seed})
    if out is not None:
        _write(out, found, cards, replays)
    if json:
        print_json(found)
    else:
        _print(recorded, cards, contests, orders)


def _make(folder: Path) -> None:
    """Make the folder before the work, so that nothing is computed for a place that cannot be written."""
    from forethought.errors import ConfigError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error.strerror}") from None


def _read(path: Path | None, target: str | None) -> Samples:
    from forethought.data import recorded_samples
    from forethought.outcomes import Outcomes
    from forethought.voting.samples import Samples

    return Samples.read(Outcomes.read(path or recorded_samples()), target)


def _merged(samples: Samples, path: Path | None) -> Samples:
    """Answers that a question's grader holds for equal, such as 1/2 and 0.5, as one vote."""
    from forethought.data import default_questions
    from forethought.outcomes import grader
    from forethought.questions import read_questions

    graders = {question.id: question.grader for question in read_questions(path or default_questions())}
    return samples.merged([getattr(grader(graders.get(id, "text")), "same", None) for id in samples.question_ids])


def _rules(
    drawn: int, chosen: Sequence[str], name: str | None, setting: dict[str, float | str]
) -> tuple[list[Rule], list[str]]:
    """The rules to compare, and the names of those left out because they may ask for more than was recorded."""
    from forethought.errors import ConfigError
    from forethought.evaluation import STANDARD_RULES, rule_label

    if setting and name is None:
        raise ConfigError("--setting needs --rule, the rule it sets")
    picked = list(STANDARD_RULES) if not chosen and name is None else []
    for wanted in chosen or (["MV 1", "SV 8/3"] if name else []):
        picked += _named(wanted)
    fitting = [rule for rule in picked if rule.cap <= drawn]
    left_out = [rule_label(rule) for rule in picked if rule.cap > drawn]
    if chosen and not fitting:
        raise ConfigError(f"{left_out[0]} may ask for more answers than the {drawn} recorded a question")
    return list(dict.fromkeys([*fitting, *([] if name is None else [_made(name, setting)])])), left_out


def _named(wanted: str) -> list[Rule]:
    """Standard rules of a name or a label, else the rule of that name at its defaults."""
    from forethought.evaluation import STANDARD_RULES, rule_label
    from forethought.evaluation.voting import SHORT

    known = [rule for rule in STANDARD_RULES if wanted in (rule.name, SHORT.get(rule.name), rule_label(rule))]
    return known or [_made(wanted, {})]


def _made(name: str, setting: dict[str, float | str]) -> Rule:
    """A rule by name; `bayes` has no prior of its own here, since there is a record to fit one to."""
    from forethought.evaluation import PopulationBayes
    from forethought.voting.bayes_vote import BayesVote
    from forethought.voting.registry import rule_from

    made = rule_from(name, setting)
    return PopulationBayes(made.price, made.cap) if isinstance(made, BayesVote) else made


def _clusters(samples: Samples, path: Path | None) -> IntArray | None:
    """Components of the questions; None where the file does not know every one of them."""
    import numpy as np

    from forethought.data import default_questions
    from forethought.errors import DataError
    from forethought.outcomes import components
    from forethought.questions import read_questions

    known = {question.id: question for question in read_questions(path or default_questions())}
    if unknown := [id for id in samples.question_ids if id not in known]:
        if path is not None:
            raise DataError(f"{path} lacks question {unknown[0]!r} of the samples")
        return None
    return np.asarray(components([known[id] for id in samples.question_ids]))


def _prices(path: Path | None, target: str) -> Prices | None:
    from forethought.data import recorded_samples
    from forethought.targets.pool import read_pool

    return read_pool(path or recorded_samples().with_name("sampling.toml")).prices.get(target)


def _contests(replays: RuleReplays, draws: int) -> list[Contest]:
    """The paper's sequential vote against Adaptive-Consistency and ESC, as far as they were replayed."""
    from forethought.voting.adaptive_consistency import AdaptiveConsistency
    from forethought.voting.early_stopping import EarlyStopping
    from forethought.voting.sequential_vote import SequentialVote

    paper = SequentialVote(8, 3)
    families = {"Adaptive-Consistency": AdaptiveConsistency, "ESC": EarlyStopping}
    members = {name: [rule for rule in replays.rules if isinstance(rule, kind)] for name, kind in families.items()}
    return [
        replays.contest(paper, rivals, family, draws=draws)
        for family, rivals in members.items()
        if rivals and paper in replays.rules
    ]


def _plain(
    samples: Samples, cards: Sequence[RuleCard], contests: Sequence[Contest], about: dict[str, int]
) -> dict[str, Any]:
    from forethought.evaluation import plain
    from forethought.evaluation.report.voting import contest_sentence

    recorded = {"target": samples.target, "questions": len(samples), "samples": samples.drawn}
    return {
        "about": {**recorded, **about},
        "rules": [plain(card) for card in cards],
        "contests": [{**plain(contest), "sentence": contest_sentence(contest)} for contest in contests],
    }


def _write(out: Path, found: dict[str, Any], cards: Sequence[RuleCard], replays: RuleReplays) -> None:
    from forethought.cli.evaluate import write_json
    from forethought.evaluation.report.voting import save_rules

    for kind in ("png", "svg"):
        save_rules(cards, replays, out / f"frontier.{kind}")
    write_json(out / "replay.json", found)


def _print(samples: Samples, cards: Sequence[RuleCard], contests: Sequence[Contest], orders: int) -> None:
    from forethought.evaluation.report.voting import contest_sentence, rule_rows

    title = f"{samples.target}: {len(samples)} questions x {samples.drawn} samples, mean of {orders} orders"
    header, rows = rule_rows(cards)
    if console.width >= WIDE:
        print_table(title, header, rows)
    else:
        spent = [i for i, name in enumerate(header) if name not in RESULT]
        for part, columns in ((title, [header.index(name) for name in RESULT]), ("What that took", [0, *spent])):
            print_table(part, [header[i] for i in columns], [[row[i] for i in columns] for row in rows])
    for contest in contests:
        console.print(contest_sentence(contest))
