"""How a target votes, and what becomes of a vote that fails."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.errors import ConfigError
from forethought.gateway.base import Delivery
from forethought.gateway.problems import Problem
from forethought.outcomes import Grader, grader
from forethought.targets.pool import PoolEntry
from forethought.voting.base import StoppingRule
from forethought.voting.confidence_weighted_vote import ConfidenceWeightedVote
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.registry import rule_from

TEMPERATURE = 0.7
"""What a greedy target votes at: at 0 its votes would all be one answer."""


class VoteFailed(Exception):  # noqa: N818 - the next target is asked
    """No answer could be had.

    Args:
        problem: Why.
        refused: The reply of an upstream that refused the request itself, which no other target is asked for.
    """

    def __init__(self, problem: Problem, refused: Delivery | None = None) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Manner:
    """How a target votes: the rule, how many answers are drawn at once, and what reads the votes."""

    rule: StoppingRule
    width: int
    grader: Grader


def manner_of(entry: PoolEntry) -> Manner:
    """How a target votes.

    Raises:
        ConfigError: An unknown rule, setting or grader, or one that the target cannot follow.
    """
    if entry.vote is None:
        return Manner(MajorityVote(entry.policy.votes), entry.policy.votes, grader("text"))
    rule = rule_from(entry.vote.rule, entry.vote.setting)
    if entry.base_url is not None and isinstance(rule, ConfidenceWeightedVote):
        raise ConfigError(f"target {entry.name!r} is behind an endpoint, which tells no confidences")
    return Manner(rule, entry.vote.width, grader(entry.vote.grader))
