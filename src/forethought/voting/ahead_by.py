"""Ahead by k: the leader's lead over the runner-up."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from forethought.errors import ConfigError
from forethought.voting.base import Ballot, Verdict, at_cap, check_cap


@dataclass(frozen=True, slots=True)
class AheadBy:
    """Stops when the leader is `lead` votes ahead of the runner-up: a gambler's ruin.

    Confidence is the leader's share of all answers drawn.

    Attributes:
        cap: Most answers.
        lead: Votes ahead that settle it.
    """

    cap: int = 40
    lead: int = 2
    name = "ahead_by"

    def __post_init__(self) -> None:
        if self.lead < 1:
            raise ConfigError(f"lead must be >= 1, got {self.lead}")
        check_cap(self.cap, self.lead, "lead")

    def judge(self, ballot: Ballot) -> Verdict:
        """Stop once the leader is far enough ahead."""
        first, second = ballot.top_two
        settled = first - second >= self.lead
        reason = f"{ballot.leader!r} leads by {first} to {second}" if settled else f"the lead is {first - second}"
        return at_cap(ballot, self.cap, Verdict(settled, ballot.leader, first / len(ballot), reason))

    def state(self, ballot: Ballot) -> Hashable:
        """The counts and how many were drawn."""
        return ballot.counts, len(ballot)
