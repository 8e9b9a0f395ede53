"""What is believed about a question's answers before any is drawn: a Dirichlet mixture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from forethought.errors import ConfigError
from forethought.metrics import FloatArray
from forethought.voting.partitions import Lattice, lattice


class Component(NamedTuple):
    """Dirichlet over the shares of three kinds of answer; the third is shared out by a Chinese restaurant.

    Attributes:
        right: Concentration of the right answer's share.
        rival: Of the one wrong answer that may attract the model.
        others: Of all other answers together, each wrong.
        diversity: Concentration of the restaurant: large, and other answers seldom repeat.
    """

    right: float
    rival: float
    others: float
    diversity: float

    @property
    def mode_is_right(self) -> bool:
        """Whether the right answer is expected to be the more frequent of the two."""
        return self.right >= self.rival


@dataclass(frozen=True, slots=True)
class AnswerPrior:
    """A mixture of components: some say 'the mode is right', some 'the mode is wrong'.

    Stopping concerns the mode of the answers, success the right one. With a right answer at .1 and one
    wrong answer at .8, votes agree at once and are wrong; a prior over both kinds knows that more of
    them would not help.

    Attributes:
        components: J of them.
        weights: Their probabilities, summing to 1.

    Raises:
        ConfigError: Not one weight a component, weights that do not sum to 1, or concentrations that are not > 0.
    """

    components: tuple[Component, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.components or len(self.components) != len(self.weights):
            raise ConfigError(f"{len(self.components)} components with {len(self.weights)} weights; one each is needed")
        if not all(weight >= 0 for weight in self.weights) or not abs(sum(self.weights) - 1) <= 1e-6:
            raise ConfigError(f"weights must be >= 0 and sum to 1, got sum {sum(self.weights):g}")
        for component in self.components:
            if not all(0 < value < float("inf") for value in component):
                raise ConfigError(f"concentrations must be > 0 and finite, got {component}")

    @property
    def mode_is_right(self) -> float:
        """Probability of the components in which the mode is right."""
        pairs = zip(self.components, self.weights, strict=True)
        return sum(weight for component, weight in pairs if component.mode_is_right)

    @property
    def success(self) -> float:
        """Expected success of one answer."""
        pairs = zip(self.components, self.weights, strict=True)
        return sum(weight * c.right / (c.right + c.rival + c.others) for c, weight in pairs)


def component_grid(diversity: float = 4.0) -> tuple[Component, ...]:
    """Components whose means cover the simplex of (right, rival, others), each loose and tight."""
    shares = (0.02, 0.15, 0.35, 0.6, 0.85, 0.97)
    means = [(c, w) for c, w in itertools.product(shares, shares) if c + w < 1]
    means += [(c, 0.9 * (1 - c)) for c in shares]
    return tuple(
        Component(strength * c, strength * w, strength * (1 - c - w), diversity)
        for c, w in means
        for strength in (3.0, 20.0)
    )


def broad_prior() -> AnswerPrior:
    """A prior for a model nothing is known about: every component of the grid is equally likely."""
    grid = component_grid()
    return AnswerPrior(grid, (1 / len(grid),) * len(grid))


class Likelihoods(NamedTuple):
    """Probabilities of vote counts under each component, unnormalised over orders (an EPPF).

    Attributes:
        counts: P(counts in the order they came), shape (J, N).
        leader: The same together with 'the leader is right', shape (J, N).
    """

    counts: FloatArray
    leader: FloatArray


@lru_cache(maxsize=8)
def likelihoods(components: tuple[Component, ...], cap: int) -> Likelihoods:
    """Likelihoods of every node of `lattice(cap)`.

    With right answer i and rival k among the answers seen (0 where unseen), a component gives
    `B(a + (n_i, n_k, n - n_i - n_k)) / B(a)` times the restaurant's probability of the rest; both
    identities are summed out.
    """
    nodes = lattice(cap)
    counts, leader = np.empty((2, len(components), len(nodes.sizes)))
    for j, component in enumerate(components):
        for votes in range(cap + 1):
            at = nodes.level(votes)
            counts[j, at], leader[j, at] = _level(component, nodes, at, votes)
    return Likelihoods(counts, leader)


def _level(component: Component, nodes: Lattice, at: slice, votes: int) -> tuple[FloatArray, FloatArray]:
    table = _pair_table(component, votes)
    sizes, multiplicity = nodes.sizes[at], nodes.multiplicity[at].astype(float)
    seats = np.prod(_seats(component, votes)[sizes] ** multiplicity, axis=1)
    leader = np.zeros(len(sizes))
    total = np.full(len(sizes), table[0, 0])
    for d in range(sizes.shape[1]):
        i, many = sizes[:, d], multiplicity[:, d]
        present = many > 0
        right = table[i, 0].copy()
        for e in range(sizes.shape[1]):
            # One answer cannot be the right one and its rival.
            right += table[i, sizes[:, e]] * np.maximum(multiplicity[:, e] - (e == d), 0)
        total = total + np.where(present, many * (right + table[0, i]), 0.0)
        if d == 0:
            leader = np.where(present, right, 0.0)
    return seats * total, seats * leader


def _pair_table(component: Component, votes: int) -> FloatArray:
    """Probability of i right, k rival and the rest others, less the seats of the two; 0 where i + k > votes."""
    n = np.arange(votes + 1)
    u = _rising(component.right, n) / _seats(component, votes)
    v = _rising(component.rival, n) / _seats(component, votes)
    rest = _rising(component.others, n) / _rising(component.diversity, n)
    i, k = np.meshgrid(n, n, indexing="ij")
    inside = i + k <= votes
    whole = _rising(component.right + component.rival + component.others, np.array([votes]))[0]
    pairs = u[:, None] * v[None, :] * rest[np.where(inside, votes - i - k, 0)]
    return np.asarray(np.where(inside, pairs, 0.0) / whole)


def _seats(component: Component, votes: int) -> FloatArray:
    """What a table of m guests contributes to the restaurant's numerator, `diversity * (m - 1)!`; 1 for none."""
    m = np.arange(votes + 1)
    seats = component.diversity * _rising(1.0, np.maximum(m - 1, 0))
    return np.asarray(np.where(m == 0, 1.0, seats))


def _rising(a: float, n: FloatArray | np.ndarray) -> FloatArray:
    """Rising factorial a (a + 1) ... (a + n - 1)."""
    steps = np.concatenate([[1.0], np.cumprod(a + np.arange(int(n.max()), dtype=np.float64))])
    return np.asarray(steps[n])


def observed_likelihoods(
    components: Sequence[Component], right: Sequence[int], wrong: Sequence[Sequence[int]]
) -> FloatArray:
    """Likelihood of recorded answers whose right one is known, up to a factor a question: shape (n, J).

    Args:
        components: The components.
        right: Votes of the right answer, 0 where it never came, shape (n,).
        wrong: Votes of each wrong answer; a right answer in other words counts as one.
    """
    return np.array(
        [[_observed(component, c, w) for component in components] for c, w in zip(right, wrong, strict=True)]
    )


def _observed(component: Component, right: int, wrong: Sequence[int]) -> float:
    votes = right + sum(wrong)
    row = _cached_table(component, votes)[right]
    # The right answer's own seat was divided out in the table and never belonged to the restaurant.
    seats = _cached_seats(component, votes)
    return float((row[0] + sum(row[k] for k in wrong)) * seats[right] * np.prod(seats[list(wrong)]))


@lru_cache(maxsize=20_000)
def _cached_table(component: Component, votes: int) -> FloatArray:
    return _pair_table(component, votes)


@lru_cache(maxsize=20_000)
def _cached_seats(component: Component, votes: int) -> FloatArray:
    return _seats(component, votes)
