"""SV: stop at a consensus of so many equal answers."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from forethought.errors import ConfigError
from forethought.voting.base import Ballot, Verdict, at_cap, check_cap


@dataclass(frozen=True, slots=True)
class SequentialVote:
    """Stops when an answer has been given `consensus` times, or at the cap (arXiv 2501.17974, section 2).

    Confidence is the leader's share of all answers drawn.

    Attributes:
        cap: Most answers; the paper's 8.
        consensus: Equal answers that settle it; the paper's 3.
    """

    cap: int = 8
    consensus: int = 3
    name = "sequential"

    def __post_init__(self) -> None:
        if self.consensus < 1:
            raise ConfigError(f"consensus must be >= 1, got {self.consensus}")
        check_cap(self.cap, self.consensus, "consensus")

    def judge(self, ballot: Ballot) -> Verdict:
        """Stop once the leader has `consensus` votes."""
        first, _ = ballot.top_two
        reason = f"{ballot.leader!r} was given {first} times" if first >= self.consensus else "no consensus yet"
        verdict = Verdict(first >= self.consensus, ballot.leader, first / len(ballot), reason)
        return at_cap(ballot, self.cap, verdict)

    def state(self, ballot: Ballot) -> Hashable:
        """The counts and how many were drawn."""
        return ballot.counts, len(ballot)
