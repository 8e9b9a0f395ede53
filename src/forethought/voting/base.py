"""What a stopping rule reads and says: ballots, verdicts, and the protocol that every rule follows."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Protocol, final

from forethought.errors import ConfigError

Same = Callable[[str, str], bool]
"""Whether two answers are one vote, such as `MathGrader.same`; equal texts always are."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """The answers of one question so far, in the order in which they count.

    Attributes:
        answers: One an answer drawn; None where no answer could be read, which is a vote for nothing.
        confidences: How sure the model was of each, in [0, 1]; 1 where unknown.
        counts: Votes of each distinct answer, in order of first appearance.
    """

    answers: tuple[str | None, ...] = ()
    confidences: tuple[float, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    def add(self, answer: str | None, confidence: float = 1.0) -> Ballot:
        """The ballot with one more answer.

        Raises:
            ConfigError: `confidence` outside [0, 1].
        """
        if not 0.0 <= confidence <= 1.0:
            raise ConfigError(f"confidence must lie in [0, 1], got {confidence}")
        return Ballot((*self.answers, answer), (*self.confidences, confidence), _counted(self.counts, answer))

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def votes(self) -> int:
        """Answers that could be read."""
        return sum(count for _, count in self.counts)

    @property
    def unparsable(self) -> int:
        """Answers that could not."""
        return len(self.answers) - self.votes

    @property
    def leader(self) -> str | None:
        """The most frequent answer, of equals the one that came first; None without a vote."""
        return max(self.counts, key=lambda pair: pair[1], default=(None, 0))[0]

    @property
    def partition(self) -> tuple[int, ...]:
        """The counts alone, falling."""
        return tuple(sorted((count for _, count in self.counts), reverse=True))

    @property
    def top_two(self) -> tuple[int, int]:
        """Votes of the two most frequent answers, 0 for an answer that is not there."""
        first, second, *_ = (*self.partition, 0, 0)
        return first, second


def _counted(counts: tuple[tuple[str, int], ...], answer: str | None) -> tuple[tuple[str, int], ...]:
    if answer is None:
        return counts
    if answer in (known for known, _ in counts):
        return tuple((known, count + (known == answer)) for known, count in counts)
    return (*counts, (answer, 1))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A stopping rule's word after an answer.

    Attributes:
        stop: Whether to draw no more.
        answer: What would be returned now; None without any vote.
        confidence: The rule's own measure of how settled `answer` is, in [0, 1]; each rule says which.
        reason: One clause, for people.
        consensus: False where the rule stops at its cap without having been convinced.
    """

    stop: bool
    answer: str | None
    confidence: float
    reason: str
    consensus: bool = True


class StoppingRule(Protocol):
    """Decides, from the answers so far, whether to draw another: a pure function of the ballot.

    A rule is an immutable description; equal settings are equal rules. `Poll` carries the state.
    """

    @property
    def name(self) -> str:
        """Name in the registry."""

    @property
    def cap(self) -> int:
        """Most answers drawn, unparsable ones included. `judge` stops at the latest there."""

    def judge(self, ballot: Ballot) -> Verdict:
        """Decide on a ballot of at least one answer."""

    def state(self, ballot: Ballot) -> Hashable:
        """What of a ballot the rule reads: ballots of one state have one future (for exact analysis)."""


@final
class Poll:
    """One question's voting under a rule.

    Example:
        >>> from forethought.voting import Poll, SequentialVote
        >>> poll = Poll(SequentialVote(cap=8, consensus=2))
        >>> poll.update("4").stop
        False
        >>> poll.update("4").reason
        "'4' was given 2 times"

    Args:
        rule: When to stop.
        same: Which answers are one vote besides those of equal text.
    """

    def __init__(self, rule: StoppingRule, same: Same | None = None) -> None:
        self.rule = rule
        self.ballot = Ballot()
        self.verdict: Verdict | None = None
        self._same = same
        self._class: dict[str, str] = {}

    def update(self, answer: str | None, confidence: float = 1.0) -> Verdict:
        """Count one more answer; None or blank is one that could not be read.

        Raises:
            ConfigError: The rule had stopped already, or `confidence` lies outside [0, 1].
        """
        if self.verdict is not None and self.verdict.stop:
            raise ConfigError(f"the {self.rule.name} vote has stopped after {len(self.ballot)} answers: take no more")
        self.ballot = self.ballot.add(self._voted(answer), confidence)
        self.verdict = self.rule.judge(self.ballot)
        return self.verdict

    def _voted(self, answer: str | None) -> str | None:
        """The first answer seen that this one is the same vote as."""
        if answer is None or not answer.strip():
            return None
        if answer not in self._class:
            known = (first for first, _ in self.ballot.counts if self._same is not None and self._same(first, answer))
            self._class[answer] = next(known, answer)
        return self._class[answer]


def at_cap(ballot: Ballot, cap: int, verdict: Verdict) -> Verdict:
    """The verdict, or where it would go on at the cap, a stop without consensus."""
    if verdict.stop or len(ballot) < cap:
        return verdict
    return replace(verdict, stop=True, consensus=False, reason=f"{cap} answers were drawn, {_tally(ballot)}")


def _tally(ballot: Ballot) -> str:
    if not ballot.counts:
        return "none could be read"
    first, second = ballot.top_two
    return "the first of a tie" if first == second else f"the most frequent was given {_times(first)}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def check_cap(cap: int, least: int = 1, what: str = "1") -> None:
    """Refuse a cap that the rule could never meet.

    Raises:
        ConfigError: `cap` < `least`.
    """
    if cap < least:
        raise ConfigError(f"cap must be >= {what}, got cap={cap}" + (f" with {what}={least}" if what != "1" else ""))
