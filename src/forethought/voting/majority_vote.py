"""MV: a fixed number of answers, and the most frequent one."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from forethought.voting.base import Ballot, Verdict, at_cap, check_cap


@dataclass(frozen=True, slots=True)
class MajorityVote:
    """Draws `cap` answers whatever they say (self-consistency, arXiv 2203.11171).

    A tie at the end is no consensus; the tied answer that came first is returned. Confidence is the
    leader's share of all answers drawn.

    Attributes:
        cap: Answers drawn.
    """

    cap: int = 5
    name = "majority"

    def __post_init__(self) -> None:
        check_cap(self.cap)

    def judge(self, ballot: Ballot) -> Verdict:
        """Stop at `cap` answers."""
        first, second = ballot.top_two
        drawn = len(ballot)
        settled = drawn >= self.cap and first > second
        reason = f"{ballot.leader!r} has {first} of {drawn} votes" if settled else f"{drawn} of {self.cap} were drawn"
        return at_cap(ballot, self.cap, Verdict(settled, ballot.leader, first / drawn, reason))

    def state(self, ballot: Ballot) -> Hashable:
        """The counts and how many were drawn."""
        return ballot.counts, len(ballot)
