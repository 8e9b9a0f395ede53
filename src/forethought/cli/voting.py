"""Live voting: a target's answers drawn until a rule is content, each vote shown as it comes in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from forethought.cli.console import notes

if TYPE_CHECKING:
    from forethought.cli.responders import Examples
    from forethought.core import Prices, Question
    from forethought.targets import LocalResponder
    from forethought.targets.pool import Pool
    from forethought.voting import StoppingProbe
    from forethought.voting.base import StoppingRule, Verdict
    from forethought.voting.spent import Spent
    from forethought.voting.voted import RuleFor, VotedAnswer

TEMPERATURE = 0.7
"""What a greedy target votes at: at 0 its votes would all be one answer."""

WIDTH = 4
TAGS = 16
"""Tokens that one trial's tags and its share of the closing sentence may take."""


@dataclass(frozen=True)
class VoteFlags:
    """How the target answers.

    Args:
        vote: Stopping rule to answer by, such as `sequential`, `adaptive_consistency` or `bayes` (with a broad prior
            that knows nothing of the model: see `stopping_probe`).
        vote_setting: Its settings, such as `--vote-setting.cap 8`.
        width: Answers drawn at once: of an endpoint at most so many in flight (4), of a local model one wave (1).
        in_one: Vote inside one generation of a chat target, trial after trial, instead of over several answers.
        stopping_probe: Folder of a probe that `forethought stopping` wrote: each question gets the `bayes` rule
            with the prior that the target's own prefill speaks for. For the local target it was fitted on.
    """

    vote: str | None = None
    vote_setting: Annotated[dict[str, float | str] | None, Parameter(negative=())] = None
    width: int | None = None
    in_one: Annotated[bool, Parameter(negative=())] = False
    stopping_probe: Path | None = None

    def rule(self) -> StoppingRule | None:
        """The rule, None where nothing is voted on.

        Raises:
            ConfigError: Flags of voting without a rule, a width that says nothing, or an unknown rule or setting.
        """
        from forethought.errors import ConfigError
        from forethought.voting.registry import rule_from

        if self.stopping_probe is not None:
            return self._probed()
        if self.vote is None:
            given = {"--vote-setting": self.vote_setting, "--width": self.width is not None, "--in-one": self.in_one}
            if lonely := [flag for flag, there in given.items() if there]:
                raise ConfigError(f"{lonely[0]} needs --vote, the rule to stop by")
            return None
        if self.in_one and self.width is not None:
            raise ConfigError("--in-one draws one answer: it has no --width")
        if self.width is not None and self.width < 1:
            raise ConfigError(f"--width must be >= 1, got {self.width}")
        return rule_from(self.vote, self.vote_setting or {})

    def _probed(self) -> StoppingRule:
        """The probe's rule for a question that nothing is forecast of; `Voter` asks for each question's own."""
        from forethought.errors import ConfigError

        if self.vote is not None or self.vote_setting or self.in_one:
            raise ConfigError(
                "--stopping-probe brings its own rule: it goes without --vote, --vote-setting and --in-one"
            )
        probe = self.probe()
        return probe.rule(probe.gated.population)

    def probe(self) -> StoppingProbe:
        """The fitted probe.

        Raises:
            ArtifactError: None in that folder.
        """
        from forethought.voting import StoppingProbe

        assert self.stopping_probe is not None
        return StoppingProbe.load(self.stopping_probe)


@dataclass(frozen=True)
class Voter:
    """Lets a target of the pool answer by voting.

    Attributes:
        pool: Targets and today's prices.
        examples: Solved questions by group, for few-shot targets.
        rule: When to stop.
        flags: How to draw.
    """

    pool: Pool
    examples: Examples
    rule: StoppingRule
    flags: VoteFlags
    _made: dict[str, Callable[[Question, _Votes], VotedAnswer]] = field(default_factory=dict)

    def answer(self, name: str, question: Question, out: Console) -> dict[str, Any]:
        """Vote, print each vote and the result, and return them as plain data.

        Raises:
            ConfigError: The target cannot be called, or not in this way.
            UpstreamError: No answer could be had at all.
        """
        if name not in self._made:
            self._made[name] = self._caller(name)
        votes = _Votes(out)
        voted = self._made[name](question, votes)
        prices = self.pool.prices.get(name)
        _print_result(voted, prices, out)
        return {"target": name, **_plain(self.rule, voted, votes, prices)}

    def _caller(self, name: str) -> Callable[[Question, _Votes], VotedAnswer]:
        from forethought.cli.responders import Responders
        from forethought.targets import EndpointResponder, LocalResponder

        single = Responders(self._sampling(name), self.examples).single(name)
        if isinstance(single, EndpointResponder):
            return self._endpoint(single)
        assert isinstance(single, LocalResponder), "a target without a URL is local"
        return self._local(single)

    def _sampling(self, name: str) -> Pool:
        """The pool with a target that can vote: not greedily, or in one generation that holds every trial."""
        entry = self.pool.entry(name)
        policy = entry.policy
        if self.flags.in_one and entry.base_url is not None:
            policy = replace(policy, max_tokens=self.rule.cap * (policy.max_tokens + TAGS))
        elif policy.temperature == 0 and not self.flags.in_one:
            notes.print(f"{escape(name)} is greedy; it votes at temperature {TEMPERATURE}", style="dim")
            policy = replace(policy, temperature=TEMPERATURE)
        sampled = entry.model_copy(update={"policy": policy})
        targets = tuple(sampled if other.name == name else other for other in self.pool.target)
        return self.pool.model_copy(update={"target": targets})

    def _local(self, single: Any) -> Callable[[Question, _Votes], VotedAnswer]:
        from forethought.early_exit import ExitResponder
        from forethought.errors import ConfigError
        from forethought.voting.local_trace import LocalTraceSampler
        from forethought.voting.responder import VotingResponder
        from forethought.voting.voted import mean_probability

        if self.flags.in_one:
            if isinstance(single, ExitResponder):
                raise ConfigError(f"target {single.target.name!r} has exits: --in-one computes every token in full")
            trace = LocalTraceSampler(
                single.model, single.target, read_answer, rule=self.rule, confidence=mean_probability
            )
            return lambda question, votes: trace.answer(question, on_vote=votes)
        width = 1 if self.flags.width is None else self.flags.width
        voting = VotingResponder(
            single, self._rule_for(single), read_answer, wave=width, target=single.target, confidence=mean_probability
        )
        return lambda question, votes: voting.answer([question], [0], on_vote=votes)[0]

    def _rule_for(self, single: LocalResponder) -> StoppingRule | RuleFor:
        """One rule for every question, or each its own from the target's prefill."""
        if self.flags.stopping_probe is None:
            return self.rule
        probe = self.flags.probe()
        return lambda question: probe.rules(single, [question])[0]

    def _endpoint(self, single: Any) -> Callable[[Question, _Votes], VotedAnswer]:
        import asyncio

        from forethought.errors import ConfigError
        from forethought.voting.confidence_weighted_vote import ConfidenceWeightedVote
        from forethought.voting.in_one import TraceSampler
        from forethought.voting.parallel import ParallelSampler

        if isinstance(self.rule, ConfidenceWeightedVote):
            raise ConfigError(f"target {single.target.name!r} is behind an endpoint, which tells no confidences")
        if self.flags.stopping_probe is not None:
            raise ConfigError(f"target {single.target.name!r} is behind an endpoint: its prefill cannot be read")
        width = WIDTH if self.flags.width is None else self.flags.width
        sampler: TraceSampler | ParallelSampler
        if self.flags.in_one:
            sampler = TraceSampler(single, read_answer, rule=self.rule)
        else:
            sampler = ParallelSampler(single, self.rule, read_answer, width=width)
        return lambda question, votes: asyncio.run(_heard(sampler, question, votes))


def read_answer(question: Question, text: str) -> str | None:
    """What a text is compared by: as the question's grader reads it."""
    from forethought.outcomes import grader

    return grader(question.grader).extract(question, text)


async def _heard(sampler: Any, question: Question, votes: _Votes) -> VotedAnswer:
    """Vote on one question, each vote told as it is counted."""
    from forethought.voting.voted import result_of

    return await result_of(
        sampler.votes(question), lambda event: votes(question, event.number, event.answer, event.verdict)
    )


@dataclass
class _Votes:
    """Prints each vote as it is counted, and keeps it."""

    out: Console
    told: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __call__(self, question: Question, number: int, answer: str | None, verdict: Verdict) -> None:
        """Hear of a vote, an `OnVote`."""
        self.told.append({"answer": answer, "confidence": verdict.confidence, "reason": verdict.reason})
        if answer is None:
            said = "no answer could be read"
        else:
            self.counts[answer] += 1
            said = f"{answer!r} ({self.counts[answer]} of {number + 1})"
        line = f"  vote {number + 1}: {said}  confidence {verdict.confidence:.2f}: {verdict.reason}"
        self.out.print(escape(line), soft_wrap=True)


def _print_result(voted: VotedAnswer, prices: Prices | None, out: Console) -> None:
    spent = voted.spent
    about = "about " if spent.estimated else ""
    usd = "" if prices is None else f", ${spent.usd(prices):.3g}"
    text = voted.response.text if voted.answer is not None else "none could be read"
    out.print(f"  answer: {escape(text)}", soft_wrap=True)
    parts = (
        f"{_counted(spent.samples, 'sample')} ({spent.wasted_samples} wasted, {spent.failed} failed)",
        f"{about}{spent.input_tokens} prompt tokens ({spent.cached_tokens} cached)",
        f"{about}{spent.output_tokens} tokens ({spent.wasted_tokens} wasted)",
        _counted(spent.rounds, "round"),
        f"{spent.seconds:.2f} s{usd}",
    )
    out.print(f"  spent: {', '.join(parts)}", soft_wrap=True)
    how = "" if voted.verdict.consensus else "without consensus: "
    out.print(f"  stopped: {how}{escape(voted.verdict.reason)}", soft_wrap=True)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _plain(rule: StoppingRule, voted: VotedAnswer, votes: _Votes, prices: Prices | None) -> dict[str, Any]:
    from forethought.evaluation import plain
    from forethought.evaluation.voting import rule_setting

    spent: Spent = voted.spent
    return {
        "answer": voted.response.text,
        "vote": {
            "rule": rule.name,
            "setting": rule_setting(rule),
            "elected": voted.answer,
            "votes": votes.told,
            "consensus": voted.verdict.consensus,
            "confidence": voted.verdict.confidence,
            "reason": voted.verdict.reason,
            "spent": {**plain(spent), "usd": None if prices is None else spent.usd(prices)},
        },
    }
