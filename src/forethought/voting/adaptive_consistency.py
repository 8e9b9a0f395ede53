"""AC: stop when the leader is probably the mode."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from forethought.errors import ConfigError
from forethought.voting.base import Ballot, Verdict, at_cap, check_cap
from forethought.voting.criteria import CRITERIA


@dataclass(frozen=True, slots=True)
class AdaptiveConsistency:
    """Stops once a criterion holds the ballot for settled (arXiv 2305.11860).

    Confidence is the criterion's measure: for 'beta' and 'dirichlet' the posterior probability that the
    leader is the mode. Answers that could not be read count towards the cap alone.

    Attributes:
        cap: Most answers; the paper's 40.
        threshold: What the criterion compares with; the paper's 0.95 for 'beta'.
        criterion: 'beta' (leader against runner-up), 'dirichlet' (against all answers seen), 'majority'
            (share), 'entropy' (at most the threshold) or 'random' (the probability of stopping).
    """

    cap: int = 40
    threshold: float = 0.95
    criterion: str = "beta"
    name = "adaptive_consistency"

    def __post_init__(self) -> None:
        check_cap(self.cap)
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold must lie in [0, 1], got {self.threshold}")
        if self.criterion not in CRITERIA:
            raise ConfigError(f"criterion must be one of {', '.join(CRITERIA)}, got {self.criterion!r}")

    def judge(self, ballot: Ballot) -> Verdict:
        """Stop once the criterion is met."""
        if not ballot.votes:
            return at_cap(ballot, self.cap, Verdict(False, None, 0.0, "no answer could be read yet"))
        stop, measure = CRITERIA[self.criterion](ballot, self.threshold)
        word = "meets" if stop else "does not meet"
        reason = f"{self.criterion} {measure:.3f} {word} the threshold {self.threshold:g}"
        return at_cap(ballot, self.cap, Verdict(stop, ballot.leader, measure, reason))

    def state(self, ballot: Ballot) -> Hashable:
        """The counts and how many were drawn."""
        return ballot.counts, len(ballot)
