"""The cheapest target that is nearly as likely to be right as the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from forethought.allocation.base import SLACK, best_in_row, cheapest_of_best, check_table
from forethought.errors import ConfigError
from forethought.metrics import FloatArray, IntArray


@final
@dataclass(frozen=True)
class Tolerance:
    """Choose the cheapest of {k : p_k >= max p - tau} (2603.20895, released code).

    Attributes:
        tau: In [0, 1]; 0 is argmax, 1 the cheapest target.
    """

    tau: float
    name = "tolerance"

    def __post_init__(self) -> None:
        if not 0 <= self.tau <= 1:
            raise ConfigError(f"tau must lie in [0, 1], got {self.tau}")

    @property
    def setting(self) -> dict[str, float]:
        """The tolerance."""
        return {"tau": self.tau}

    @property
    def because(self) -> str:
        """The rule in words."""
        return f"the cheapest within {self.tau:g} of the best target's P(success)"

    def choose(self, success: FloatArray, cost: FloatArray) -> IntArray:
        """Choose one target a question; see `Policy.choose`."""
        check_table(success, cost)
        return cheapest_of_best(success >= best_in_row(success) - (self.tau + SLACK), cost)
