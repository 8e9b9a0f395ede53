"""What a right answer is worth, less what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from forethought.allocation.base import cheapest_of_best, check_table
from forethought.errors import ConfigError
from forethought.metrics import FloatArray, IntArray


@final
@dataclass(frozen=True)
class Value:
    """Choose argmax_k V * p_k - c_k, both in USD.

    Attributes:
        usd_per_success: What one right answer is worth, >= 0.
    """

    usd_per_success: float
    name = "value"

    def __post_init__(self) -> None:
        if not 0 <= self.usd_per_success < float("inf"):
            raise ConfigError(f"usd_per_success must be >= 0 and finite, got {self.usd_per_success}")

    @property
    def setting(self) -> dict[str, float]:
        """The worth of a right answer."""
        return {"usd_per_success": self.usd_per_success}

    @property
    def because(self) -> str:
        """The rule in words."""
        return f"the best value less cost at {self.usd_per_success:g} USD per right answer"

    def choose(self, success: FloatArray, cost: FloatArray) -> IntArray:
        """Choose one target a question; see `Policy.choose`."""
        check_table(success, cost)
        return cheapest_of_best(self.usd_per_success * success - cost, cost)
