"""The target most likely to be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from forethought.allocation.base import cheapest_of_best, check_table
from forethought.metrics import FloatArray, IntArray


@final
@dataclass(frozen=True)
class Argmax:
    """Choose argmax_k p_k, whatever it costs (2603.20895's decision rule)."""

    name = "argmax"
    because = "the target most likely to be right"

    @property
    def setting(self) -> dict[str, float]:
        """Nothing to set."""
        return {}

    def choose(self, success: FloatArray, cost: FloatArray) -> IntArray:
        """Choose one target a question; see `Policy.choose`."""
        check_table(success, cost)
        return cheapest_of_best(success, cost)
