"""The stopping criteria of Adaptive-Consistency: how settled a ballot is, and whether that is enough.

Each takes a ballot with at least one vote and a threshold, and returns whether to stop and its measure
in [0, 1], greater where the ballot is more settled.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import numpy as np

from forethought.metrics import FloatArray
from forethought.voting.base import Ballot

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)


def beta(ballot: Ballot, threshold: float) -> tuple[bool, float]:
    """P(the leader's share exceeds the runner-up's) >= threshold (arXiv 2305.11860)."""
    sure = beta_probability(*ballot.top_two)
    return sure >= threshold, sure


def dirichlet(ballot: Ballot, threshold: float) -> tuple[bool, float]:
    """P(the leader is the mode of all answers seen) >= threshold."""
    sure = dirichlet_probability(ballot.partition)
    return sure >= threshold, sure


def majority(ballot: Ballot, threshold: float) -> tuple[bool, float]:
    """The leader's share of the votes >= threshold, published with 0.8; one vote agrees only with itself."""
    share = ballot.top_two[0] / ballot.votes
    return ballot.votes > 1 and share >= threshold, share


def entropy(ballot: Ballot, threshold: float) -> tuple[bool, float]:
    """Entropy of the shares over its maximum <= threshold, published with 0.75; the measure is its complement.

    As in the authors' code, unanimous votes count as if a second answer had been given once, and one
    vote never stops.
    """
    counts = (*ballot.partition, 1) if len(ballot.counts) == 1 else ballot.partition
    total = sum(counts)
    spread = -sum(count / total * math.log(count / total) for count in counts) / math.log(len(counts))
    return ballot.votes > 1 and spread <= threshold, min(max(1 - spread, 0.0), 1.0)


def random(ballot: Ballot, threshold: float) -> tuple[bool, float]:
    """Stop with probability `threshold`, published with 0.1; the measure is the leader's share of the votes.

    The draw is a hash of the counts and the number of answers, so that a ballot is always judged alike.
    """
    text = f"{ballot.partition} of {len(ballot)}"
    draw = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big") / 2**48
    return draw < threshold, ballot.top_two[0] / ballot.votes


CRITERIA = {"beta": beta, "dirichlet": dirichlet, "majority": majority, "entropy": entropy, "random": random}


def beta_probability(first: int, second: int) -> float:
    """P(p > 1/2) for p ~ Beta(first + 1, second + 1), correctly rounded.

    With n = first + second it is P(Binomial(n + 1, 1/2) <= first), a sum of integers over 2^(n + 1).
    """
    trials = first + second + 1
    return sum(math.comb(trials, k) for k in range(first + 1)) / (1 << trials)


@lru_cache(maxsize=65_536)
def dirichlet_probability(partition: tuple[int, ...]) -> float:
    """P(the first share is the largest) for shares ~ Dirichlet(counts + 1), to about 1e-12.

    Shares are gamma variables over their sum, so this is the integral of the leader's gamma density
    times the others' distribution functions; with whole shapes those are Poisson tails.

    Args:
        partition: Counts, falling. A lone answer is compared with one not yet seen, as the beta is.
    """
    first, *others = (*partition, 0) if len(partition) == 1 else partition
    upper = first + 40 + 12 * math.sqrt(first + 1)
    x = (_NODES + 1) * upper / 2
    steps = np.arange(first + 1)[:, None]
    factorials = np.array([math.lgamma(step + 1) for step in range(first + 1)])[:, None]
    poisson = np.exp(steps * np.log(x) - x - factorials)
    smaller = 1 - np.cumsum(poisson, axis=0)
    density: FloatArray = poisson[first] * smaller[others].prod(axis=0)
    return min(math.fsum(_WEIGHTS * density) * upper / 2, 1.0)
