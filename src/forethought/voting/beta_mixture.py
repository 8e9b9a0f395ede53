"""A prior on the share of the right answer where two answers compete: a mixture of Beta distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from forethought.errors import ConfigError
from forethought.metrics import FloatArray


class Evidence(NamedTuple):
    """Probability of each pair of counts, in one order of the answers; entry [a, b] is a right and b wrong.

    Attributes:
        counts: P(such answers), shape (cap + 1, cap + 1).
        mode_is_right: The same together with 'the right answer is the mode', shape (cap + 1, cap + 1).
    """

    counts: FloatArray
    mode_is_right: FloatArray


@dataclass(frozen=True, slots=True)
class BetaMixture:
    """What is believed about p, the share of the right answer, when all others are one wrong answer.

    Attributes:
        components: Both parameters of each Beta.
        weights: Their probabilities, summing to 1.
    """

    components: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    weights: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not self.components or len(self.components) != len(self.weights):
            raise ConfigError(f"{len(self.components)} components with {len(self.weights)} weights; one each is needed")
        if not all(weight >= 0 for weight in self.weights) or abs(sum(self.weights) - 1) > 1e-9:
            raise ConfigError(f"weights must be >= 0 and sum to 1, got {self.weights}")
        if not all(0 < parameter < np.inf for pair in self.components for parameter in pair):
            raise ConfigError(f"Beta parameters must be > 0, got {self.components}")

    def evidence(self, cap: int) -> Evidence:
        """Probabilities of all counts up to `cap` of each answer."""
        from scipy.special import betainc, betaln

        n = np.arange(cap + 1.0)
        counts, mode = np.zeros((2, cap + 1, cap + 1))
        for (alpha, beta), weight in zip(self.components, self.weights, strict=True):
            right, wrong = np.meshgrid(alpha + n, beta + n, indexing="ij")
            chance = weight * np.exp(betaln(right, wrong) - betaln(alpha, beta))
            counts += chance
            mode += chance * betainc(wrong, right, 0.5)
        return Evidence(counts, mode)


Prior = BetaMixture | tuple[float, float]
"""A mixture, or the two parameters of a single Beta."""


def as_mixture(prior: Prior) -> BetaMixture:
    """The prior as a mixture.

    Raises:
        ConfigError: Parameters that are not > 0.
    """
    return prior if isinstance(prior, BetaMixture) else BetaMixture((prior,))
