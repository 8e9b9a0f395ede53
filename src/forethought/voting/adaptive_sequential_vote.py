"""ASV: a predictor decides whether to vote at all, and a vote is sequential."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from forethought.errors import ConfigError
from forethought.voting.base import Ballot, Verdict, at_cap
from forethought.voting.sequential_vote import SequentialVote


@dataclass(frozen=True, slots=True)
class AdaptiveSequentialVote:
    """Votes where voting is predicted to pay, else takes the first answer (arXiv 2501.17974).

    The rule is one question's: `gain` is its prediction. The paper's model decides after it has written
    one answer; a predictor on the prompt can decide before. A question that is not voted on returns the
    first answer that can be read, so one that cannot is drawn again, up to the cap.

    Confidence is the leader's share of all answers drawn, and without a vote the answer's own.

    Attributes:
        gain: Predicted P(right) with a vote less P(right) without, in [-1, 1].
        price: Gain that a vote must exceed.
        decide: 'before' any answer, or 'after_first': then the first answer must also be doubtful.
        trust: With 'after_first', the confidence in the first answer from which no vote is held.
        cap: Most answers.
        consensus: Equal answers that settle a vote.
    """

    gain: float
    price: float = 0.0
    decide: Literal["before", "after_first"] = "before"
    trust: float = 1.0
    cap: int = 8
    consensus: int = 3
    name = "adaptive_sequential"

    def __post_init__(self) -> None:
        if not -1 <= self.gain <= 1:
            raise ConfigError(f"gain must lie in [-1, 1], got {self.gain}")
        if not -1 <= self.price <= 1:
            raise ConfigError(f"price must lie in [-1, 1], got {self.price}")
        if self.decide not in ("before", "after_first"):
            raise ConfigError(f"decide must be 'before' or 'after_first', got {self.decide!r}")
        if not 0 <= self.trust <= 1:
            raise ConfigError(f"trust must lie in [0, 1], got {self.trust}")
        SequentialVote(self.cap, self.consensus)

    def judge(self, ballot: Ballot) -> Verdict:
        """Go on like a sequential vote, or stop at the first answer that can be read."""
        if not ballot.votes:
            return at_cap(ballot, self.cap, Verdict(False, None, 0.0, "no answer could be read yet"))
        doubt = self._doubt(ballot)
        if doubt is None:
            return SequentialVote(self.cap, self.consensus).judge(ballot)
        return Verdict(True, ballot.leader, _first_confidence(ballot), f"no vote: {doubt}")

    def state(self, ballot: Ballot) -> Hashable:
        """The counts, how many were drawn, and whether this is a vote."""
        return ballot.counts, len(ballot), bool(ballot.votes) and self._doubt(ballot) is None

    def _doubt(self, ballot: Ballot) -> str | None:
        """What speaks against a vote, None where nothing does."""
        if self.gain <= self.price:
            return f"its predicted gain {self.gain:.3f} is not above the price {self.price:.3f}"
        confidence = _first_confidence(ballot)
        if self.decide == "after_first" and confidence >= self.trust:
            return f"the first answer's confidence {confidence:.2f} reaches {self.trust:.2f}"
        return None


def _first_confidence(ballot: Ballot) -> float:
    pairs = zip(ballot.answers, ballot.confidences, strict=True)
    return next(confidence for answer, confidence in pairs if answer is not None)
