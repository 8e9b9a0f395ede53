"""Always the same target: the safe setting of a certificate, and what routing is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from forethought.allocation.base import check_table
from forethought.errors import ConfigError, DataError
from forethought.metrics import FloatArray, IntArray


@final
@dataclass(frozen=True)
class Single:
    """Choose one fixed target.

    Attributes:
        index: Its column, >= 0.
    """

    index: int
    name = "single"

    def __post_init__(self) -> None:
        if self.index < 0 or self.index != int(self.index):
            raise ConfigError(f"index must be a column >= 0, got {self.index}")

    @property
    def setting(self) -> dict[str, float]:
        """The column."""
        return {"index": self.index}

    @property
    def because(self) -> str:
        """The rule in words."""
        return "the one target that is always taken"

    def choose(self, success: FloatArray, cost: FloatArray) -> IntArray:
        """Choose one target a question; see `Policy.choose`."""
        check_table(success, cost)
        if self.index >= success.shape[1]:
            raise DataError(f"always target {int(self.index)}, but there are only {success.shape[1]} targets")
        return np.full(len(success), int(self.index), dtype=np.int64)
