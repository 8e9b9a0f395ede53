"""What exits save and what they cost in quality, beside the unmodified model on the same questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forethought.early_exit.base import ExitAnswer, ExitRule, Report, silent
from forethought.early_exit.consistency import similarity
from forethought.early_exit.free_running import FreeRun, answer_cost, free_run, unadapted
from forethought.early_exit.meter import Meter
from forethought.early_exit.model import ExitModel
from forethought.early_exit.oracle import Oracle, first_agreeing
from forethought.early_exit.rules import Never
from forethought.early_exit.task import Task
from forethought.early_exit.teacher_forcing import ForcedRule, TeacherForced, teacher_force
from forethought.errors import ConfigError
from forethought.metrics import FloatArray, IntArray, Interval, paired_bootstrap
from forethought.outcomes import components

UNMODIFIED = "unmodified"
"""Name of the model without adapters and exits."""
ADAPTED = "full depth, adapted"
"""Name of the adapted model that nobody leaves early."""


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """Free-running answers of one rule, question by question; every array has shape (n,).

    Attributes:
        success: In [0, 1].
        exact: 1 where every token is the unmodified model's, else 0.
        similarity: 1 less the edit distance to the unmodified model's tokens as a share of the longer answer.
        tokens: Generated.
        passes: Of generated tokens.
        layers: Computed in them.
        macs: Multiply-accumulates spent on them.
        full_macs: What full depth of the unmodified model would have spent on the same passes.
    """

    success: FloatArray
    exact: FloatArray
    similarity: FloatArray
    tokens: IntArray
    passes: IntArray
    layers: IntArray
    macs: IntArray
    full_macs: IntArray


@dataclass(frozen=True)
class RuleSummary:
    """Means of one rule with 95 % intervals; questions that share a text or an entity are drawn together.

    Attributes:
        accuracy: Mean success.
        accuracy_loss: The unmodified model's less the rule's on the same questions; `high` is the upper limit.
        exact_match: Share of the answers that are the unmodified model's, token for token.
        consistency: Mean similarity to them.
        mean_depth: Layers a generated token's pass.
        macs_saved: Share of the generated tokens' multiply-accumulates, against full depth on the same passes.
        macs_saved_on_answers: The same against what the unmodified model spent on its own answers, which may be
            longer or shorter.
        macs_saved_with_prompts: `macs_saved` with the prompts' passes in both sums.
        agreement: Share of the passes along the unmodified model's answers whose likeliest token at the depth that
            the rule chooses is the unmodified model's; NaN for the unmodified model's own entry.
        divergence: KL(full || chosen) of these passes, nats.
    """

    accuracy: Interval
    accuracy_loss: Interval
    exact_match: Interval
    consistency: Interval
    mean_depth: Interval
    macs_saved: Interval
    macs_saved_on_answers: Interval
    macs_saved_with_prompts: Interval
    agreement: Interval
    divergence: Interval


@dataclass(frozen=True)
class DepthTokens:
    """What was predicted at one depth.

    Attributes:
        depth: Layers that ran.
        passes: How many.
        share: Of all passes.
        tokens: The most frequent token strings with their counts.
    """

    depth: int
    passes: int
    share: float
    tokens: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class EvaluatedAnswer:
    """One answer and how deep each token of it went.

    Attributes:
        question: Id.
        text: The answer.
        tokens: Its tokens as strings.
        depths: Of each; the first is predicted by the prompt's pass.
        success: In [0, 1].
    """

    question: str
    text: str
    tokens: tuple[str, ...]
    depths: tuple[int, ...]
    success: float


@dataclass(frozen=True, eq=False)
class RuleEvaluation:
    """Everything of one rule.

    Attributes:
        summary: Means with intervals.
        answers: Question by question.
        depths: What was predicted at each depth that was used.
        examples: The first answers.
        thrown_away: Share of the multiply-accumulates that batches spent on rows past their answer's end, beside
            those of `answers`.
        lost_looks: Looks at a state that was NaN.
    """

    summary: RuleSummary
    answers: AnswerTable
    depths: tuple[DepthTokens, ...]
    examples: tuple[EvaluatedAnswer, ...]
    thrown_away: float
    lost_looks: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Rules on the same questions; every comparison of them is paired.

    Attributes:
        questions: Ids, n of them.
        clusters: Connected component of each, shape (n,).
        prompt_tokens: Read by the unmodified model under every rule, shape (n,).
        prompt_macs: Spent on them, shape (n,).
        rules: Name -> its evaluation; `UNMODIFIED` and `ADAPTED` among them.
        agreement_by_exit: Layer -> share of the passes along the unmodified model's answers in which the exit,
            by itself, says what the unmodified model says; the last layer is the adapted model's full depth.
        oracle: First layers that agree with the unmodified model along the same answers.
    """

    questions: tuple[str, ...]
    clusters: IntArray
    prompt_tokens: IntArray
    prompt_macs: IntArray
    rules: Mapping[str, RuleEvaluation]
    agreement_by_exit: Mapping[int, Interval]
    oracle: Oracle


@dataclass(frozen=True)
class Detail:
    """How much is kept and how intervals are drawn.

    Attributes:
        examples: Answers of each rule to keep.
        tokens: Token strings of each depth to keep.
        draws: Of the bootstrap.
        seed: Of the bootstrap.
    """

    examples: int = 8
    tokens: int = 12
    draws: int = 2000
    seed: int = 0


def evaluate(
    model: ExitModel,
    task: Task,
    rules: Mapping[str, ExitRule],
    *,
    batch_size: int = 64,
    detail: Detail | None = None,
    report: Report = silent,
) -> Evaluation:
    """Let every rule answer every question, free-running and along the unmodified model's answers.

    The unmodified model and the adapted one at full depth are always evaluated beside them, by the same decoder.

    Args:
        model: Model with exits.
        task: Questions and the policy that they are asked under; exact matches mean most where it is greedy.
        rules: Name -> rule.
        batch_size: Most answers computed at once.
        detail: How much is kept.
        report: Called after each batch of answers.

    Raises:
        ConfigError: A rule that has the name of the unmodified or the adapted model.
        DataError: No answer of the unmodified model has two tokens.
    """
    if taken := {UNMODIFIED, ADAPTED} & set(rules):
        raise ConfigError(f"a rule may not be called {min(taken)!r}: that is evaluated beside all rules")
    detail = detail or Detail()
    plain = unadapted(model)
    contenders: dict[str, tuple[ExitModel, ExitRule]] = {
        UNMODIFIED: (plain, Never()),
        ADAPTED: (model, Never()),
        **{name: (model, rule) for name, rule in rules.items()},
    }
    runs = {
        name: free_run(owner, rule, task, batch_size=batch_size, report=_named(report, name))
        for name, (owner, rule) in contenders.items()
    }
    forced = _forced(model, task, {ADAPTED: Never(), **rules}, runs[UNMODIFIED], report)
    tables = {name: _table(task, *contenders[name], run, runs[UNMODIFIED]) for name, run in runs.items()}
    prompts = [_prompt_meter(model, len(prompt.ids)) for prompt in runs[UNMODIFIED].prompts]
    prompt_macs = np.array([meter.prompt_macs for meter in prompts])
    clusters = components(task.questions)
    bootstrap = _Bootstrap(clusters, detail, tables[UNMODIFIED], prompt_macs)
    evaluations = {
        name: _evaluation(task, runs[name], table, bootstrap.summary(table, forced.rules.get(name)), detail)
        for name, table in tables.items()
    }
    return Evaluation(
        questions=tuple(question.id for question in task.questions),
        clusters=clusters,
        prompt_tokens=np.array([meter.prompt_tokens for meter in prompts]),
        prompt_macs=prompt_macs,
        rules=evaluations,
        agreement_by_exit=bootstrap.by_exit(forced),
        oracle=first_agreeing(forced.readouts),
    )


def tokens_by_depth(task: Task, answers: Sequence[ExitAnswer], kept: int) -> tuple[DepthTokens, ...]:
    """Which tokens were predicted at which depth, the shallowest first; the prompt's own prediction is left out.

    Args:
        task: Whose tokenizer.
        answers: Of any questions.
        kept: Token strings of each depth.
    """
    counts: dict[int, Counter[int]] = {}
    for answer in answers:
        for token, depth in zip(answer.tokens[1:], answer.depths[1:], strict=True):
            counts.setdefault(depth, Counter())[token] += 1
    total = sum(count.total() for count in counts.values())
    return tuple(
        DepthTokens(
            depth,
            count.total(),
            count.total() / total,
            tuple((_string(task, token), times) for token, times in count.most_common(kept)),
        )
        for depth, count in sorted(counts.items())
    )


def _named(report: Report, name: str) -> Report:
    def tell(done: int, total: int, text: str = "") -> None:
        report(done, total, f"{name} {text}".strip())

    return tell


def _prompt_meter(model: ExitModel, length: int) -> Meter:
    meter = Meter()
    meter.prompt(model.teacher, length)
    return meter


def _forced(
    model: ExitModel, task: Task, rules: Mapping[str, ExitRule], unmodified: FreeRun, report: Report
) -> TeacherForced:
    traces = unmodified.traces
    keys = [task.key(i, 0) for i in range(len(traces))]
    return teacher_force(model, rules, traces, keys, report=_named(report, "along the unmodified answers"))


def _table(task: Task, model: ExitModel, rule: ExitRule, run: FreeRun, unmodified: FreeRun) -> AnswerTable:
    lengths = [len(prompt.ids) for prompt in run.prompts]
    costs = [
        answer_cost(model, rule, length, answer.depths) for length, answer in zip(lengths, run.answers, strict=True)
    ]
    passes, layers, macs, full_macs = np.array(costs, dtype=np.int64).T
    pairs = [(answer.tokens, own.tokens) for answer, own in zip(run.answers, unmodified.answers, strict=True)]
    return AnswerTable(
        success=np.array([task.success(i, answer.tokens) for i, answer in enumerate(run.answers)]),
        exact=np.array([float(one == other) for one, other in pairs]),
        similarity=np.array([similarity(one, other) for one, other in pairs]),
        tokens=np.array([len(answer.tokens) for answer in run.answers]),
        passes=passes,
        layers=layers,
        macs=macs,
        full_macs=full_macs,
    )


def _evaluation(task: Task, run: FreeRun, table: AnswerTable, summary: RuleSummary, detail: Detail) -> RuleEvaluation:
    kept = list(zip(task.questions, run.answers, table.success.tolist(), strict=True))[: detail.examples]
    examples = [
        EvaluatedAnswer(
            question.id,
            task.text(answer.tokens),
            tuple(_string(task, token) for token in answer.tokens),
            tuple(answer.depths),
            success,
        )
        for question, answer, success in kept
    ]
    spent = run.meter.macs
    return RuleEvaluation(
        summary=summary,
        answers=table,
        depths=tokens_by_depth(task, run.answers, detail.tokens),
        examples=tuple(examples),
        thrown_away=(spent - int(table.macs.sum())) / spent if spent else 0.0,
        lost_looks=run.meter.lost_looks,
    )


def _string(task: Task, token: int) -> str:
    return str(task.model.tokenizer.decode([token]))


_Ratio = tuple[FloatArray | IntArray, FloatArray | IntArray]
"""Two sums over questions, each by question, shape (n,): what is divided by what."""


class _Bootstrap:
    """Intervals over the same draws of questions for everything that is compared."""

    def __init__(self, clusters: IntArray, detail: Detail, unmodified: AnswerTable, prompt_macs: IntArray) -> None:
        self.clusters = clusters
        self.detail = detail
        self.unmodified = unmodified
        self.prompt_macs = prompt_macs

    def summary(self, table: AnswerTable, forced: ForcedRule | None) -> RuleSummary:
        """All means of one rule."""
        ones = np.ones(len(self.clusters))
        none = np.zeros(len(self.clusters))
        passes = agrees = divergence = none
        if forced is not None:
            passes = self._sums(forced.question, np.ones(len(forced.question)))
            agrees = self._sums(forced.question, forced.agrees)
            divergence = self._sums(forced.question, forced.divergence)
        saved = table.full_macs - table.macs
        ratios: dict[str, _Ratio] = {
            "accuracy": (table.success, ones),
            "accuracy_loss": (self.unmodified.success - table.success, ones),
            "exact_match": (table.exact, ones),
            "consistency": (table.similarity, ones),
            "mean_depth": (table.layers, table.passes),
            "macs_saved": (saved, table.full_macs),
            "macs_saved_on_answers": (self.unmodified.macs - table.macs, self.unmodified.macs),
            "macs_saved_with_prompts": (saved, table.full_macs + self.prompt_macs),
            "agreement": (agrees, passes),
            "divergence": (divergence, passes),
        }
        found = self._intervals(list(ratios.values()))
        return RuleSummary(**dict(zip(ratios, found, strict=True)))

    def by_exit(self, forced: TeacherForced) -> dict[int, Interval]:
        """Agreement of each exit, and of the last layer, with the unmodified model."""
        read = forced.readouts
        passes = self._sums(read.question, np.ones(len(read.question)))
        said = [*read.exits, read.student]
        agrees = [self._sums(read.question, (tokens == read.teacher).astype(np.float64)) for tokens in said]
        found = self._intervals([(agreed, passes) for agreed in agrees])
        return dict(zip((*read.layers, read.n_layers), found, strict=True))

    def _sums(self, question: IntArray, values: FloatArray | IntArray) -> FloatArray:
        """Of each question's passes."""
        return np.bincount(question, weights=values, minlength=len(self.clusters)).astype(np.float64)

    def _intervals(self, ratios: Sequence[_Ratio]) -> list[Interval]:
        table = np.array(ratios, dtype=np.float64)
        n = table.shape[-1]

        def shares(rows: IntArray) -> FloatArray:
            above, below = (table @ np.bincount(rows, minlength=n)).T
            found = np.full(len(above), np.nan)
            np.divide(above, below, out=found, where=below > 0)
            return found

        detail = self.detail
        found = paired_bootstrap(shares, n, clusters=self.clusters, draws=detail.draws, seed=detail.seed)
        assert isinstance(found, list), "the statistic is an array"
        return found
