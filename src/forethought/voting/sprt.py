"""SPRT: Wald's sequential test between the leader and the runner-up."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from forethought.errors import ConfigError
from forethought.voting.base import Ballot, Verdict, at_cap, check_cap


@dataclass(frozen=True, slots=True)
class SequentialProbabilityRatio:
    """Stops when Wald's test decides which of the two leading answers is the more frequent.

    Of votes for either, the leader gets a share of `p1` under one hypothesis and of `1 - p1` under the
    other. The log likelihood ratio is `(v1 - v2) log(p1 / (1 - p1))`, and with equal error rates the test
    stops at `log((1 - alpha) / alpha)` (Wald, 1945). Votes for other answers carry nothing.

    Confidence is the probability of the first hypothesis, both being equally likely before.

    Attributes:
        p1: Share of the better answer that the test must notice, in (0.5, 1).
        alpha: Error rate at that share, in (0, 0.5).
        cap: Most answers.
    """

    p1: float = 0.7
    alpha: float = 0.05
    cap: int = 40
    name = "sprt"

    def __post_init__(self) -> None:
        if not 0.5 < self.p1 < 1:
            raise ConfigError(f"p1 must lie in (0.5, 1), got {self.p1}")
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"alpha must lie in (0, 0.5), got {self.alpha}")
        check_cap(self.cap, self.lead, "lead")

    @property
    def lead(self) -> int:
        """Votes ahead at which the test stops."""
        # The slack keeps a boundary that is met exactly from being missed by rounding.
        return math.ceil(math.log((1 - self.alpha) / self.alpha) / self._weight - 1e-9)

    @property
    def _weight(self) -> float:
        """Log likelihood ratio of one vote."""
        return math.log(self.p1 / (1 - self.p1))

    def judge(self, ballot: Ballot) -> Verdict:
        """Stop at the boundary."""
        first, second = ballot.top_two
        ahead = first - second
        sure = 1 / (1 + math.exp(-ahead * self._weight)) if ballot.votes else 0.0
        reason = f"{ballot.leader!r} leads by {ahead}" if ahead >= self.lead else f"the lead is {ahead} of {self.lead}"
        return at_cap(ballot, self.cap, Verdict(ahead >= self.lead, ballot.leader, sure, reason))

    def state(self, ballot: Ballot) -> Hashable:
        """The counts and how many were drawn."""
        return ballot.counts, len(ballot)
