"""Probability less a price on normalised cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from forethought.allocation.base import cheapest_of_best, check_table
from forethought.errors import ConfigError
from forethought.metrics import FloatArray, IntArray


@final
@dataclass(frozen=True)
class Utility:
    """Choose argmax_k p_k - lam * (c_k - low) / (high - low) (2602.09924, the lambda utility).

    The bounds are stored, not read off each question, so lam means the same on all of them.

    Attributes:
        lam: Price of going from the lower bound to the upper, >= 0, in units of P(success).
        low: USD per question that counts as 0.
        high: USD per question that counts as 1.
    """

    lam: float
    low: float
    high: float
    name = "utility"

    def __post_init__(self) -> None:
        if not self.lam >= 0:
            raise ConfigError(f"lam must be >= 0, got {self.lam}")
        if not 0 <= self.low < self.high:
            raise ConfigError(f"cost bounds must be 0 <= low < high USD, got low={self.low}, high={self.high}")

    @classmethod
    def normalised_by(cls, lam: float, cost: FloatArray) -> Utility:
        """Take the bounds from the cheapest and dearest target's mean cost, as the paper does.

        Args:
            lam: As above.
            cost: USD on training or calibration questions, shape (n, K).
        """
        means = cost.mean(axis=0)
        return cls(lam, float(means.min()), float(means.max()))

    @property
    def setting(self) -> dict[str, float]:
        """The price and the bounds."""
        return {"lam": self.lam, "low": self.low, "high": self.high}

    @property
    def because(self) -> str:
        """The rule in words."""
        return f"the best P(success) less {self.lam:g} times normalised cost"

    def choose(self, success: FloatArray, cost: FloatArray) -> IntArray:
        """Choose one target a question; see `Policy.choose`."""
        check_table(success, cost)
        # The lower bound shifts every target alike and cannot change a choice.
        return cheapest_of_best(success - cost * (self.lam / (self.high - self.low)), cost)
