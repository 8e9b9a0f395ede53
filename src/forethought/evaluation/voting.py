"""Stopping rules on recorded samples: how often each is right at what cost, against majority votes and each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from forethought.core import Prices, Question
from forethought.errors import ConfigError, DataError
from forethought.metrics import Interval, paired_bootstrap, static_hull
from forethought.outcomes import folds
from forethought.voting.adaptive_consistency import AdaptiveConsistency
from forethought.voting.ahead_by import AheadBy
from forethought.voting.answer_prior import broad_prior
from forethought.voting.base import StoppingRule
from forethought.voting.bayes_vote import BayesVote
from forethought.voting.early_stopping import EarlyStopping
from forethought.voting.first_to import first_to
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.prior_fit import fit_prior
from forethought.voting.replay import Replayed, VotePaths, replay
from forethought.voting.sequential_vote import SequentialVote
from forethought.voting.sprt import SequentialProbabilityRatio

if TYPE_CHECKING:
    from forethought.metrics import FloatArray, IntArray
    from forethought.voting.answer_prior import AnswerPrior
    from forethought.voting.samples import Samples

Report: TypeAlias = "Callable[[int, int], None]"
"""Hears how much of the replaying is done, of how much."""


@dataclass(frozen=True, slots=True)
class PopulationBayes:
    """`BayesVote` under the prior of other questions: each half of the record has its prior from the other half.

    Attributes:
        price: Success that one more answer has to gain in expectation.
        cap: Most answers.
    """

    price: float = 0.005
    cap: int = 16
    name = "bayes"

    def __post_init__(self) -> None:
        BayesVote(price=self.price, cap=self.cap)


Rule: TypeAlias = StoppingRule | PopulationBayes

STANDARD_RULES: list[Rule] = [
    *(MajorityVote(cap) for cap in (1, 3, 5, 8, 16, 40)),
    *(SequentialVote(cap, consensus) for cap, consensus in ((8, 2), (8, 3), (8, 4), (16, 5))),
    *(AdaptiveConsistency(cap, threshold) for cap in (8, 40) for threshold in (0.8, 0.9, 0.95, 0.99)),
    *(EarlyStopping(window, cap) for window, cap in ((2, 8), (4, 8), (3, 40), (5, 40))),
    first_to(5),
    *(AheadBy(lead=lead) for lead in (2, 3, 4)),
    SequentialProbabilityRatio(),
    *(PopulationBayes(price) for price in (0.001, 0.002, 0.005, 0.01, 0.02)),
    PopulationBayes(0.005, cap=8),
    BayesVote(),
]
"""The field's rules at the settings of their papers and around them; `SequentialVote(8, 3)` is arXiv 2501.17974's."""

SHORT = {
    "majority": "MV",
    "sequential": "SV",
    "adaptive_consistency": "AC",
    "early_stopping": "ESC",
    "ahead_by": "ahead by",
    "sprt": "SPRT",
}


def rule_setting(rule: Rule) -> dict[str, Any]:
    """A rule's numbers and words, the cap first."""
    own = {field.name: getattr(rule, field.name) for field in fields(rule)} if is_dataclass(rule) else {}
    return {"cap": rule.cap, **{key: value for key, value in own.items() if isinstance(value, int | float | str)}}


def rule_label(rule: Rule) -> str:
    """A short name: the rule, its cap and its other settings, such as `SV 8/3`."""
    numbers = "/".join(f"{value:g}" for value in rule_setting(rule).values() if not isinstance(value, str))
    words = [value for key, value in rule_setting(rule).items() if isinstance(value, str) and value != "beta"]
    prior = ["broad" if rule.prior == broad_prior() else "given"] if isinstance(rule, BayesVote) else []
    return " ".join([SHORT.get(rule.name, rule.name), numbers, *words, *prior])


@dataclass(frozen=True, slots=True)
class RuleCard:
    """How one rule did; means a question, each with its paired bootstrap interval.

    Attributes:
        name: A short name.
        rule: Name in the registry.
        setting: Its numbers and words.
        accuracy: Share of the returned answers that are right; no answer is wrong.
        samples: Answers drawn.
        output_tokens: Tokens generated.
        input_tokens: Prompt tokens where every answer pays for the prompt.
        prompt_tokens: Prompt tokens where a prefix cache computes the prompt once.
        usd: Cost, with repeated prompts at the price of cached tokens; None without prices.
        rounds: Waits one after another: 1 for a majority, windows for ESC, answers for the others.
        consensus: Share of the votes that ended before the cap or convinced at it.
        samples_ratio: Samples over those of the cheapest mixture of majority votes that is right as often. Where
            none is, the dearest stands in, which makes the ratio too high.
        gain: Accuracy less that of the best mixture of majority votes of as many tokens, prompts included.
        gain_cached: The same where a prefix cache computes the prompt once.
    """

    name: str
    rule: str
    setting: Mapping[str, Any]
    accuracy: Interval
    samples: Interval
    output_tokens: Interval
    input_tokens: Interval
    prompt_tokens: Interval
    usd: Interval | None
    rounds: Interval
    consensus: Interval
    samples_ratio: Interval
    gain: Interval
    gain_cached: Interval


@dataclass(frozen=True, slots=True)
class Contest:
    """A rule against a family of rules.

    Attributes:
        name: The rule.
        family: Whom it meets, mixed at random with each other and with single answers.
        gain: Accuracy less that of the family's best mixture of as many samples.
        samples_ratio: Samples over those of the family's cheapest mixture that is right as often.
        differences: Of each member, the rule's accuracy less the member's.
    """

    name: str
    family: str
    gain: Interval
    samples_ratio: Interval
    differences: Mapping[str, Interval]


class _Means(NamedTuple):
    """Means over drawn questions: of each rule (R, 7), and of each majority vote: success and tokens (3, K)."""

    rules: FloatArray
    majority: FloatArray


@dataclass(frozen=True, eq=False)
class RuleReplays:
    """Rules on the same answers in the same orders; every comparison of them is paired.

    Attributes:
        rules: R of them.
        table: A question's success, samples, output, input and prompt tokens, consensus, rounds, shape (n, R, 7).
        majority: Of majority votes of 1 ... K: success, and tokens without and with prefix cache, shape (n, 3, K).
        clusters: What is drawn together, shape (n,); None for each question by itself.
        seed: Of the orders and of the bootstrap.
    """

    rules: tuple[Rule, ...]
    table: FloatArray
    majority: FloatArray
    clusters: IntArray | None
    seed: int

    def cards(self, *, draws: int = 1000, prices: Prices | None = None) -> list[RuleCard]:
        """One card a rule, in order.

        Args:
            draws: Bootstrap draws.
            prices: Of the target, USD per million tokens.
        """

        def statistic(means: _Means) -> FloatArray:
            accuracy, samples, output, inputs, prompt, _, _ = means.rules.T
            right, tokens, cached_tokens = means.majority
            votes = static_hull(np.arange(1.0, len(right) + 1), right)
            ratio = samples / np.interp(accuracy, votes.accuracy, votes.cost)
            gains = []
            for paid, axis in ((inputs + output, tokens), (prompt + output, cached_tokens)):
                hull = static_hull(axis, right)
                gains.append(accuracy - np.interp(paid, hull.cost, hull.accuracy))
            usd = np.zeros_like(accuracy)
            if prices is not None:
                every = zip(inputs.tolist(), output.tolist(), (inputs - prompt).tolist(), strict=True)
                usd = np.array([prices.cost(*tokens) for tokens in every])
            return np.concatenate([means.rules, np.stack([ratio, *gains, usd], axis=1)], axis=1).ravel()

        found = self._intervals(statistic, draws)
        width = len(found) // len(self.rules)
        return [
            _card(rule, found[width * i : width * (i + 1)], priced=prices is not None)
            for i, rule in enumerate(self.rules)
        ]

    def contest(self, one: Rule, members: Sequence[Rule], family: str, *, draws: int = 1000) -> Contest:
        """Hold one of the rules against several others.

        Raises:
            ConfigError: A rule that was not replayed, or no member.
        """
        if missing := [rule for rule in (one, *members) if rule not in self.rules]:
            raise ConfigError(f"{rule_label(missing[0])} was not replayed")
        if not members:
            raise ConfigError(f"{rule_label(one)} has nobody to meet: no {family}")
        at, others = self.rules.index(one), [self.rules.index(rule) for rule in members]

        def statistic(means: _Means) -> FloatArray:
            accuracy, samples = means.rules[:, 0], means.rules[:, 1]
            costs = np.array([1.0, *samples[others]])
            hull = static_hull(costs, np.array([means.majority[0, 0], *accuracy[others]]))
            gain = accuracy[at] - np.interp(samples[at], hull.cost, hull.accuracy)
            ratio = samples[at] / np.interp(accuracy[at], hull.accuracy, hull.cost)
            return np.array([gain, ratio, *(accuracy[at] - accuracy[others])])

        gain, ratio, *differences = self._intervals(statistic, draws)
        return Contest(
            rule_label(one), family, gain, ratio, dict(zip(map(rule_label, members), differences, strict=True))
        )

    def majority_curve(self) -> tuple[FloatArray, FloatArray]:
        """Samples and accuracy at the corners of the hull of majority votes."""
        right = self.majority[:, 0].mean(axis=0)
        hull = static_hull(np.arange(1.0, len(right) + 1), right)
        return hull.cost, hull.accuracy

    def _intervals(self, statistic: Callable[[_Means], FloatArray], draws: int) -> list[Interval]:
        n, rules, _ = self.table.shape
        flat = np.hstack([self.table.reshape(n, -1), self.majority.reshape(n, -1)])

        def drawn(rows: IntArray) -> FloatArray:
            # A product with how often each question was drawn: ten times as fast as copying its rows.
            means = np.bincount(rows, minlength=n) @ flat / len(rows)
            return statistic(_Means(means[: 7 * rules].reshape(rules, 7), means[7 * rules :].reshape(3, -1)))

        found = paired_bootstrap(drawn, n, clusters=self.clusters, draws=draws, seed=self.seed)
        assert isinstance(found, list), "the statistic is an array"
        return found


def compare_rules(
    samples: Samples,
    rules: Sequence[Rule],
    *,
    orders: int = 4,
    draws: int = 1000,
    seed: int = 0,
    clusters: IntArray | None = None,
    prices: Prices | None = None,
) -> list[RuleCard]:
    """Replay rules on recorded samples and say how each did: `replay_rules` and then `RuleReplays.cards`.

    Args:
        samples: Recorded answers of n questions.
        rules: Stopping rules.
        orders: Orders in which each question's answers are shown; results are means over them.
        draws: Bootstrap draws.
        seed: Of the orders, the halves and the bootstrap.
        clusters: Labels of shape (n,): what is drawn together, and stands in one half for fitted priors.
        prices: Of the target, USD per million tokens.

    Raises:
        ConfigError: No rules, or `orders` < 1.
        DataError: Fewer recorded answers than a rule's cap.
    """
    replays = replay_rules(samples, rules, orders=orders, seed=seed, clusters=clusters)
    return replays.cards(draws=draws, prices=prices)


def replay_rules(
    samples: Samples,
    rules: Sequence[Rule],
    *,
    orders: int = 4,
    seed: int = 0,
    clusters: IntArray | None = None,
    report: Report | None = None,
) -> RuleReplays:
    """Replay rules on recorded samples; see `compare_rules`."""
    _check(samples, rules, orders)
    steps = orders * len(rules)
    if report is not None:
        report(0, steps)  # before the priors, which take a while
    fitted = any(isinstance(rule, PopulationBayes) for rule in rules)
    halves = _Halves.of(samples, clusters, seed) if fitted else None
    tables: list[list[FloatArray]] = [[] for _ in rules]
    majority = np.zeros((len(samples), 3, samples.drawn))
    for order in range(orders):
        shown = samples.shuffled(seed + order)
        majority += _majority(shown) / orders
        for i, rule in enumerate(rules):
            tables[i].append(_table(rule, _replayed(rule, shown, halves)))
            if report is not None:
                report(order * len(rules) + i + 1, steps)
    table = np.stack([np.mean(parts, axis=0) for parts in tables], axis=1)
    return RuleReplays(tuple(rules), table, majority, clusters, seed)


def _check(samples: Samples, rules: Sequence[Rule], orders: int) -> None:
    if orders < 1:
        raise ConfigError(f"orders must be >= 1, got {orders}")
    if not rules:
        raise ConfigError("no rules to compare; at least one is needed")
    if short := next((rule for rule in rules if rule.cap > samples.drawn), None):
        raise DataError(f"{rule_label(short)} may ask for {short.cap} answers, recorded are {samples.drawn} a question")


@dataclass(frozen=True, eq=False)
class _Halves:
    """Each question's half, and of each half the prior that was fitted on the other."""

    half: IntArray
    priors: tuple[AnswerPrior, AnswerPrior]

    @classmethod
    def of(cls, samples: Samples, clusters: IntArray | None, seed: int) -> _Halves:
        ties = [()] * len(samples) if clusters is None else [(f"cluster {label}",) for label in clusters.tolist()]
        named = [Question.ask(id, id=id, entities=tied) for id, tied in zip(samples.question_ids, ties, strict=True)]
        half = folds(named, 2, seed)
        first, second = (fit_prior(samples.take(np.flatnonzero(half != own))) for own in (0, 1))
        return cls(half, (first, second))


def _replayed(rule: Rule, shown: Samples, halves: _Halves | None) -> Replayed:
    if isinstance(rule, BayesVote):
        return VotePaths.of(shown, rule.cap).bayes(rule.prior, rule.price)
    if not isinstance(rule, PopulationBayes):
        return replay(rule, shown)
    assert halves is not None, "there is one wherever a prior has to be fitted"
    paths = VotePaths.of(shown, rule.cap)
    first, second = (paths.bayes(prior, rule.price) for prior in halves.priors)
    names = [field.name for field in fields(Replayed)]
    return Replayed(**{name: np.where(halves.half == 0, getattr(first, name), getattr(second, name)) for name in names})


def _table(rule: Rule, played: Replayed) -> FloatArray:
    """What one order came to, shape (n, 7)."""
    if isinstance(rule, MajorityVote):
        rounds = np.ones_like(played.samples)
    else:
        rounds = np.ceil(played.samples / (rule.window if isinstance(rule, EarlyStopping) else 1))
    tokens = played.output_tokens, played.input_tokens, played.prompt_tokens
    return np.stack([played.success, played.samples, *tokens, played.consensus, rounds], axis=1)


def _majority(shown: Samples) -> FloatArray:
    """Success and tokens of the majority of the first 1 ... K answers, shape (n, 3, K)."""
    right = np.zeros(shown.output_tokens.shape)
    for row, (answers, grades) in enumerate(zip(shown.answers.tolist(), shown.success.tolist(), strict=True)):
        counts: dict[str, int] = {}
        first: dict[str, float] = {}
        for k, (answer, grade) in enumerate(zip(answers, grades, strict=True)):
            if answer is not None:
                counts[answer] = counts.get(answer, 0) + 1
                first.setdefault(answer, grade)
            right[row, k] = first[max(counts, key=lambda known: counts[known])] if counts else 0.0
    output, prompt = shown.output_tokens.cumsum(axis=1), shown.input_tokens[:, None]
    return np.stack([right, output + prompt * np.arange(1, shown.drawn + 1), output + prompt], axis=1)


def _card(rule: Rule, found: Sequence[Interval], *, priced: bool) -> RuleCard:
    accuracy, samples, output, inputs, prompt, consensus, rounds, ratio, gain, gain_cached, usd = found
    return RuleCard(
        name=rule_label(rule),
        rule=rule.name,
        setting=rule_setting(rule),
        accuracy=accuracy,
        samples=samples,
        output_tokens=output,
        input_tokens=inputs,
        prompt_tokens=prompt,
        usd=usd if priced else None,
        rounds=rounds,
        consensus=consensus,
        samples_ratio=ratio,
        gain=gain,
        gain_cached=gain_cached,
    )
