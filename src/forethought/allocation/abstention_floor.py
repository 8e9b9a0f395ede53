"""Answer only what some target is likely enough to get right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from forethought.allocation.base import ABSTAIN, Policy, best_in_row
from forethought.errors import ConfigError
from forethought.metrics import FloatArray, IntArray

SUFFIX = "+floor"


@final
@dataclass(frozen=True)
class AbstentionFloor:
    """Wrap a policy: abstain where even the best target's P(success) is under the floor.

    Attributes:
        policy: Chooses where there is an answer to be had.
        floor: In [0, 1].
    """

    policy: Policy
    floor: float

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 1:
            raise ConfigError(f"floor must lie in [0, 1], got {self.floor}")
        if self.policy.name.endswith(SUFFIX):
            raise ConfigError(f"{self.policy.name!r} has a floor already; set one floor")

    @property
    def name(self) -> str:
        """The wrapped policy's name with `+floor`."""
        return self.policy.name + SUFFIX

    @property
    def setting(self) -> dict[str, float]:
        """The wrapped policy's setting and the floor."""
        return {**self.policy.setting, "floor": self.floor}

    @property
    def because(self) -> str:
        """The wrapped policy's rule in words."""
        return self.policy.because

    def choose(self, success: FloatArray, cost: FloatArray) -> IntArray:
        """Choose one target a question or abstain; see `Policy.choose`."""
        choice = self.policy.choose(success, cost)
        choice[best_in_row(success)[:, 0] < self.floor] = ABSTAIN
        return choice
