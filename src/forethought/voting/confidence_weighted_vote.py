"""Votes weighted by how sure the model was of each answer."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace

from forethought.errors import ConfigError
from forethought.voting.base import Ballot, Verdict, at_cap, check_cap


@dataclass(frozen=True, slots=True)
class ConfidenceWeightedVote:
    """Stops when the heaviest answer holds `share` of the weight (DeepConf, arXiv 2508.15260).

    An answer's weight is the sum of the confidences it was given with; the heaviest is returned, of
    equals the one that came first. Unknown confidences are 1, and the weights are then the votes.

    Confidence is the heaviest answer's share of the weight.

    Attributes:
        cap: Most answers.
        share: Share of the weight that settles it; the paper's 0.95.
        least: Readable answers before it may stop. The paper warms up with 16 of 512.
    """

    cap: int = 40
    share: float = 0.95
    least: int = 3
    name = "confidence_weighted"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigError(f"share must lie in (0, 1], got {self.share}")
        if self.least < 1:
            raise ConfigError(f"least must be >= 1, got {self.least}")
        check_cap(self.cap, self.least, "least")

    def judge(self, ballot: Ballot) -> Verdict:
        """Stop once the heaviest answer has its share of the weight."""
        weights = _weights(ballot)
        answer, weight = max(weights, key=lambda pair: pair[1], default=(None, 0.0))
        total = math.fsum(each for _, each in weights)
        share = min(weight / total, 1.0) if total > 0 else 0.0
        settled = ballot.votes >= self.least and share >= self.share
        reason = f"{answer!r} has {share:.0%} of the weight"
        verdict = at_cap(ballot, self.cap, Verdict(settled, answer, share, reason))
        # At the cap votes would be named, but it is the weights that chose.
        return verdict if verdict.consensus else replace(verdict, reason=f"{self.cap} answers were drawn, {reason}")

    def state(self, ballot: Ballot) -> Hashable:
        """The weights, the votes and how many were drawn."""
        return _weights(ballot), ballot.votes, len(ballot)


def _weights(ballot: Ballot) -> tuple[tuple[str, float], ...]:
    """Weight of each distinct answer, in order of first appearance."""
    given: dict[str, list[float]] = {answer: [] for answer, _ in ballot.counts}
    for answer, confidence in zip(ballot.answers, ballot.confidences, strict=True):
        if answer is not None:
            given[answer].append(confidence)
    return tuple((answer, math.fsum(confidences)) for answer, confidences in given.items())
