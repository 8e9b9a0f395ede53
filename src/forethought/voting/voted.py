"""A vote's result, and one question's vote while its answers come in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from math import exp

from forethought.core import Question, Target
from forethought.errors import ConfigError
from forethought.targets.base import Response
from forethought.voting.base import Ballot, Poll, Same, StoppingRule, Verdict
from forethought.voting.spent import Spent, spent_on

Extract = Callable[[Question, str], str | None]
"""Reads the answer to compare by out of a text, None where there is none."""

Confidence = Callable[[Response], float]
"""How sure the model was of an answer, in [0, 1]."""

RuleFor = Callable[[Question], StoppingRule]
"""The rule of each question, for instance one informed by what is expected of it."""

OnVote = Callable[[Question, int, str | None, Verdict], None]
"""Hears of each vote: the question, the vote's number from 0, the answer, and the rule's word after it."""


@dataclass(frozen=True, slots=True)
class VotedAnswer:
    """What a vote came to.

    Attributes:
        answer: The elected answer as it was read out of its text; None where no text had one.
        response: The first text with that answer (without one, the first text), with everybody's tokens.
        verdict: The rule's last word; its reason says so where answers failed or ran out.
        ballot: The votes that the rule read.
        spent: What it cost.
    """

    answer: str | None
    response: Response
    verdict: Verdict
    ballot: Ballot
    spent: Spent


@dataclass(frozen=True, slots=True)
class VoteEvent:
    """One vote as it is counted, or, last of all, the result.

    Attributes:
        number: The vote's number from 0; of the result, how many were counted.
        answer: The answer read, None for one that could not be; of the result, the elected one.
        verdict: The rule's word after it.
        result: Everything, on the last event only.
    """

    number: int
    answer: str | None
    verdict: Verdict
    result: VotedAnswer | None = None


@dataclass(slots=True)
class Vote:
    """One question's vote while its answers come in, in the order in which they count.

    Attributes:
        question: What is asked.
        rule: When to stop.
        extract: Reads an answer out of a text.
        same: Which answers are one vote.
        confidence: How sure the model was of each; by default nothing is known.
    """

    question: Question
    rule: StoppingRule
    extract: Extract
    same: Same | None = None
    confidence: Confidence | None = None
    poll: Poll = field(init=False)
    read: list[Response] = field(default_factory=list)
    failed: list[Response] = field(default_factory=list)
    wasted: list[Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.poll = Poll(self.rule, self.same)

    @property
    def drawn(self) -> int:
        """Answers asked for so far."""
        return len(self.read) + len(self.failed) + len(self.wasted)

    @property
    def stopped(self) -> bool:
        """Whether the rule wants no more."""
        return self.poll.verdict is not None and self.poll.verdict.stop

    @property
    def open(self) -> bool:
        """Whether another answer may be drawn."""
        return not self.stopped and self.drawn < self.rule.cap

    def take(self, response: Response) -> VoteEvent | None:
        """Count the next answer: a vote, a failure, or waste after the stop.

        Returns:
            The vote, where it is one.
        """
        if response.finish == "error":
            self.failed.append(response)
            return None
        if self.stopped:
            self.wasted.append(response)
            return None
        answer = self.extract(self.question, response.text)
        verdict = self.poll.update(answer, 1.0 if self.confidence is None else self.confidence(response))
        self.read.append(response)
        return VoteEvent(len(self.read) - 1, answer, verdict)

    def result(self, rounds: int) -> VotedAnswer:
        """What it came to, after `rounds` waits."""
        verdict = self._verdict()
        spent = spent_on(self.read, wasted=self.wasted, failed=self.failed, rounds=rounds)
        ballot = self.poll.ballot
        elected = (text for text, vote in zip(self.read, ballot.answers, strict=True) if vote == verdict.answer)
        first = next(elected, (self.read or self.failed)[0])
        response = replace(
            first,
            input_tokens=spent.input_tokens,
            output_tokens=spent.output_tokens,
            seconds=spent.seconds,
            cached_tokens=spent.cached_tokens,
            estimated=spent.estimated,
        )
        return VotedAnswer(verdict.answer, response, verdict, ballot, spent)

    def _verdict(self) -> Verdict:
        """The rule's last word, turned into a stop where answers ran out before it gave one."""
        last = self.poll.verdict or Verdict(False, None, 0.0, "")
        if last.stop:
            return last
        reason = f"{self.drawn} of at most {self.rule.cap} answers were drawn, {len(self.failed)} of them failed"
        return replace(last, stop=True, consensus=False, reason=reason)


def rule_for(rule: StoppingRule | RuleFor) -> RuleFor:
    """The rule of each question, where one rule for all may have been given."""
    if callable(rule):
        return rule
    return lambda _: rule


def refuse_greedy(target: Target) -> None:
    """Refuse a target whose answers would all be one.

    Raises:
        ConfigError: Its temperature is 0.
    """
    if target.policy.temperature == 0:
        raise ConfigError(f"target {target.name!r} is greedy: its votes would all be one answer")


def mean_probability(response: Response) -> float:
    """A `Confidence`: the geometric mean of the tokens' probabilities; 1 where they are unknown."""
    return 1.0 if response.mean_logprob is None else min(1.0, exp(response.mean_logprob))


async def result_of(
    events: AsyncGenerator[VoteEvent, None], heard: Callable[[VoteEvent], None] | None = None
) -> VotedAnswer:
    """Follow a vote to its end.

    Args:
        events: Of one question's vote; closed at the end, and where the caller is cancelled.
        heard: Called with each vote as it is counted.
    """
    result: VotedAnswer | None = None
    async with aclosing(events):
        async for event in events:
            result = event.result
            if result is None and heard is not None:
                heard(event)
    assert result is not None, "the last event of a vote has its result"
    return result
