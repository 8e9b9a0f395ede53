"""The first target, from cheap to dear, that is likely enough to be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from forethought.allocation.base import best_in_row, cheapest_of_best, check_table
from forethought.errors import ConfigError
from forethought.metrics import FloatArray, IntArray


@final
@dataclass(frozen=True)
class Cascade:
    """Walk targets in order of expected cost; take the first with p > threshold, else the last.

    A switch before generation (2602.09924): no two targets ever answer one question. The order
    comes from the costs at hand, so it follows prices and the targets that are allowed.

    Attributes:
        threshold: In [0, 1]; 0 sends nearly all to the cheapest target, 1 all to the dearest.
    """

    threshold: float
    name = "cascade"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold must lie in [0, 1], got {self.threshold}")

    @property
    def setting(self) -> dict[str, float]:
        """The threshold."""
        return {"threshold": self.threshold}

    @property
    def because(self) -> str:
        """The rule in words."""
        return f"the cheapest with P(success) above {self.threshold:g}, or else the dearest"

    def choose(self, success: FloatArray, cost: FloatArray) -> IntArray:
        """Choose one target a question; see `Policy.choose`. Of equally dear last targets the later one is last."""
        check_table(success, cost)
        enough = success > self.threshold
        choice = cheapest_of_best(enough, cost)
        stuck = ~best_in_row(enough)[:, 0]
        choice[stuck] = cost.shape[1] - 1 - cost[stuck, ::-1].argmax(axis=1)
        return choice
