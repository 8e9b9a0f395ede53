"""The probe-informed rule: draw another answer only while it pays in P(the returned answer is right)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from forethought.errors import ConfigError
from forethought.metrics import FloatArray
from forethought.voting.answer_prior import AnswerPrior, broad_prior, likelihoods
from forethought.voting.base import Ballot, Verdict, at_cap, check_cap
from forethought.voting.partitions import MOST_VOTES, Lattice, lattice


@dataclass(frozen=True, slots=True)
class BayesVote:
    """Stops where the best plan gains less than it costs: the exact optimum for its prior, if all answers can be read.

    The value of a ballot is the larger of P(its leader is right) and the expected value of the next
    ballot less the price, by backward induction over every partition of the votes up to the cap. One
    step ahead would never do: a second answer cannot change which one leads. With the prior of a
    question that the probe holds for easy, or for hopeless, the first answer already stops.
    An answer that cannot be read uses up the cap, which the plan does not see.

    Confidence is the posterior probability that the returned answer is right.

    Attributes:
        prior: What is believed before the first answer; a question's own where a probe was read.
        price: Success that one more answer has to gain in expectation.
        cap: Most answers, at most 40.
    """

    prior: AnswerPrior = field(default_factory=broad_prior)
    price: float = 0.005
    cap: int = 16
    name = "bayes"

    def __post_init__(self) -> None:
        check_cap(self.cap)
        if not isinstance(self.prior, AnswerPrior):
            raise ConfigError(f"prior must be an AnswerPrior, got {self.prior!r}")
        if self.cap > MOST_VOTES:
            raise ConfigError(f"cap must be <= {MOST_VOTES} for an exact plan, got {self.cap}")
        if not 0 <= self.price < 1:
            raise ConfigError(f"price must lie in [0, 1) success per answer, got {self.price}")

    def judge(self, ballot: Ballot) -> Verdict:
        """Compare stopping with the best plan that goes on."""
        if not ballot.votes:
            verdict = Verdict(False, None, 0.0, "no answer could be read yet")
            return at_cap(ballot, self.cap, verdict)
        plan = _plan(self.prior, self.price, self.cap)
        node = lattice(self.cap).index[ballot.partition]
        sure, gain = plan.right[node], plan.gain[node]
        reason = f"P(right) {sure:.2f}; going on is worth {gain:+.3f} after its price of {self.price:.3g} an answer"
        # At the last level there is no going on, so nothing says that the votes convinced.
        stop = bool(-np.inf < gain <= 0)
        return at_cap(ballot, self.cap, Verdict(stop, ballot.leader, float(sure), reason))

    def state(self, ballot: Ballot) -> Hashable:
        """The counts and how many were drawn."""
        return ballot.counts, len(ballot)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a prior and a price say at every node of the lattice.

    Attributes:
        right: P(the leader is right), shape (N,).
        gain: Value of going on less that of stopping; at most 0 where the plan stops, -inf at the
            cap. Shape (N,).
    """

    right: FloatArray
    gain: FloatArray


@lru_cache(maxsize=256)
def _plan(prior: AnswerPrior, price: float, cap: int) -> Plan:
    right, gain = plan(np.array([prior.weights]), prior, price, cap)
    return Plan(right[0], gain[0])


def plan(weights: FloatArray, prior: AnswerPrior, price: float, cap: int) -> tuple[FloatArray, FloatArray]:
    """Plans of many questions whose priors share their components.

    Values are kept times the probability of the counts: the mixture is then linear in its weights,
    and the induction needs no division.

    Args:
        weights: Component weights of each question, shape (n, J).
        prior: Whose components they weigh.
        price: Success per answer.
        cap: Most answers.

    Returns:
        P(the leader is right) and the gain of going on (-inf at the cap), each of shape (n, N).
    """
    nodes, given = lattice(cap), likelihoods(prior.components, cap)
    counts, leader = weights @ given.counts, weights @ given.leader
    value, more = leader.copy(), np.full_like(leader, -np.inf)
    for votes in range(cap - 1, -1, -1):
        at = nodes.level(votes)
        more[:, at] = _next(value, nodes, at) - price * counts[:, at]
        value[:, at] = np.maximum(value[:, at], more[:, at])
    return leader / counts, (more - leader) / counts


def _next(value: FloatArray, nodes: Lattice, at: slice) -> FloatArray:
    """Expected value after one more answer, times the probability of the counts."""
    successor = nodes.successor[at]
    total = value[:, successor[:, -1]]
    for d in range(nodes.sizes.shape[1]):
        many = nodes.multiplicity[at, d]
        known = np.flatnonzero(many)
        total[:, known] += many[known] * value[:, successor[known, d]]
    return total
