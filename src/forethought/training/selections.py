"""Ways to learn from graded rollouts: the rows of the paper's unifying table (arXiv 2501.17974, table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from forethought.errors import ConfigError
from forethought.metrics import BoolArray, FloatArray
from forethought.training.base import Rollouts, State, Weighed


class _Memoryless:
    """Nothing is carried from batch to batch."""

    @property
    def settings(self) -> Mapping[str, float | str]:
        """The method and its parameters."""
        return {"method": self.name, **asdict(self)}  # type: ignore[attr-defined,call-overload]

    def state(self) -> State:
        """Nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take up."""


@dataclass(frozen=True)
class RejectionSampling(_Memoryless):
    """Every right trace, of equal weight: rejection-sampling fine-tuning (RFT; Yuan et al., arXiv 2308.01825)."""

    name: ClassVar[str] = "rejection_sampling"

    def weigh(self, rollouts: Rollouts, *, seed: int) -> Weighed:
        """See `Selection.weigh`."""
        return Weighed(rollouts.right.astype(np.float64), {})


@dataclass(frozen=True)
class BestOfN(_Memoryless):
    """One of the best traces of each question, drawn among equals (RAFT; Dong et al., arXiv 2304.06767).

    With right and wrong alone the best of a question without a right trace is a wrong one: such questions are left out.
    """

    name: ClassVar[str] = "best_of_n"

    def weigh(self, rollouts: Rollouts, *, seed: int) -> Weighed:
        """See `Selection.weigh`."""
        best = rollouts.success == rollouts.success.max(axis=1, keepdims=True)
        return Weighed(one_of(best & (rollouts.success > 0), seed), {})


@dataclass(frozen=True)
class ConstrainedPolicy(_Memoryless):
    """CGPO without a budget (arXiv 2409.20370, CRRAFT): one right trace that stays near the reference.

    Attributes:
        kl_max: Largest log pi(y | x) - log pi_ref(y | x) of an accepted trace, nats.
    """

    kl_max: float = 1024.0
    name: ClassVar[str] = "cgpo"

    def weigh(self, rollouts: Rollouts, *, seed: int) -> Weighed:
        """See `Selection.weigh`."""
        return Weighed(one_of(feasible(rollouts, self.kl_max), seed), {})


@dataclass(frozen=True)
class PricedReward(_Memoryless):
    """Policy gradient with a fixed price of voting, as AdaptThink (2505.13417) and L1 (2503.04697) shape rewards.

    The advantage is success less the price of a vote, centred within the question and not divided by its deviation.
    A price buys some share of voting, and which one is known afterwards.

    Attributes:
        price: Success that a vote must gain, in [0, 1].
    """

    price: float = 0.05
    name: ClassVar[str] = "priced_reward"

    def __post_init__(self) -> None:
        if not 0 <= self.price <= 1:
            raise ConfigError(f"price must lie in [0, 1], got {self.price}")

    def weigh(self, rollouts: Rollouts, *, seed: int) -> Weighed:
        """See `Selection.weigh`."""
        reward = rollouts.success - self.price * rollouts.voted
        advantage = reward - reward.mean(axis=1, keepdims=True)
        # Where all fare alike, what the mean's last bits leave over is no preference.
        alike = reward.max(axis=1, keepdims=True) == reward.min(axis=1, keepdims=True)
        return Weighed(np.where(alike, 0.0, advantage), {"reward": float(reward.mean())})


def feasible(rollouts: Rollouts, kl_max: float) -> BoolArray:
    """CGPO's feasible set: right, and at most `kl_max` nats above the reference (2501.17974, section 3), (n, m)."""
    return rollouts.right & (rollouts.log_ratio <= kl_max)


def one_of(among: BoolArray, seed: int) -> FloatArray:
    """Weight 1 for one trace of each question that has any, drawn evenly.

    Args:
        among: Candidates, shape (n, m).
        seed: Of the draws.
    """
    luck = np.random.default_rng(seed).random(among.shape)
    chosen = np.where(among, 1 + luck, 0).argmax(axis=1)
    weights = np.zeros(among.shape)
    weights[np.arange(len(among)), chosen] = among.any(axis=1)
    return weights
