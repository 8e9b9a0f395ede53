"""Which response or option to accept for each question, under caps on what the accepted ones weigh on average."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np

from forethought.allocation.base import ABSTAIN
from forethought.errors import ConfigError, DataError
from forethought.metrics import BoolArray, FloatArray, IntArray

Order = Literal["served", "gain"]
"""What comes first. `served`: as many questions as the caps allow, then the gain. `gain`: questions that an option
within every cap can serve are all served, the others only where that raises the total gain."""

ROUNDING = 1e-9
"""Of the sums compared, what their last bits may be over a cap: .29 of 100 questions is 29."""

ROWS = 1 << 16
"""Questions looked at together, which bounds the memory of a large programme."""


@dataclass(frozen=True, eq=False)
class Programme:
    """At most one option a question, such that the accepted ones weigh at most `cap` on average.

    For every cap g: sum over accepted (i, j) of (weight[g, i, j] - cap[g]) <= 0. The cap is relative to what is
    accepted, not to all questions, and still linear. A cap on a group's share has weight 1 in the group, a cap on
    mean cost has the cost, in any unit; a floor is a cap with both signs turned.

    Attributes:
        gain: What accepting an option adds, shape (n, k); not read where it is not feasible.
        weight: What it adds to each cap's sum, shape (G, n, k); not read where it is not feasible.
        cap: Largest mean weight of what is accepted, shape (G,).
        feasible: What may be accepted, shape (n, k).
    """

    gain: FloatArray
    weight: FloatArray
    cap: FloatArray
    feasible: BoolArray

    def __post_init__(self) -> None:
        gain, weight, feasible = self.gain, self.weight, self.feasible
        if gain.ndim != 2 or not gain.size or feasible.shape != gain.shape or feasible.dtype != np.bool_:
            raise DataError(
                f"gain {gain.shape} and boolean feasible {feasible.shape} ({feasible.dtype}) must share one "
                "shape (n, k), n and k >= 1"
            )
        if self.cap.ndim != 1 or weight.shape != (len(self.cap), *gain.shape):
            raise DataError(f"weight must be of shape (G, n, k) for cap (G,), got {weight.shape} for {self.cap.shape}")
        if not np.isfinite(self.cap).all():
            raise ConfigError(f"cap must be finite, got {self.cap.tolist()}")
        for name, table in (("gain", gain), *((f"weight[{g}]", row) for g, row in enumerate(weight))):
            if not (np.isfinite(table) | ~feasible).all():
                raise DataError(f"{name} must be finite wherever an option is feasible")

    @classmethod
    def of_votes(cls, margins: FloatArray, voted: BoolArray, feasible: BoolArray, share: float) -> Self:
        """Sampled responses under a cap on the share of accepted ones that vote (arXiv 2501.17974, eq. 8).

        A voting response gains its question's margin, a single one loses it: the two differ by twice the margin.

        Args:
            margins: Success that voting adds to a question, in [-1, 1], shape (n,); see `conditional_margins`.
            voted: Which responses vote, shape (n, m).
            feasible: Which may be accepted: right, and near enough to the reference policy, shape (n, m).
            share: Largest share of accepted responses that vote, in [0, 1].

        Raises:
            DataError: Shapes differ, or a margin is not finite.
            ConfigError: `share` outside [0, 1].
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"share must lie in [0, 1], got {share}")
        if voted.ndim != 2 or margins.shape != voted.shape[:1] or voted.dtype != np.bool_:
            raise DataError(f"margins {margins.shape} and boolean voted {voted.shape} must be of shapes (n,), (n, m)")
        if not np.isfinite(margins).all():
            raise DataError("margins must be finite: 0 where nothing is known")
        gain = np.where(voted, margins[:, np.newaxis], -margins[:, np.newaxis])
        return cls(gain, voted[np.newaxis].astype(np.float64), np.array([float(share)]), feasible)

    @classmethod
    def of_costs(cls, gain: FloatArray, cost: FloatArray, budget: float, feasible: BoolArray | None = None) -> Self:
        """Options (targets, votes, depths) under a cap on the mean cost of what is served.

        Args:
            gain: Predicted success or worth, shape (n, k).
            cost: In any unit, shape (n, k).
            budget: Largest mean cost of a served question, in that unit.
            feasible: What may be chosen, shape (n, k); everything by default.

        Raises:
            DataError: Shapes differ, or a number is not finite.
            ConfigError: `budget` is not finite.
        """
        allowed = np.ones(gain.shape, dtype=np.bool_) if feasible is None else feasible
        return cls(gain, cost[np.newaxis], np.array([float(budget)]), allowed)

    @cached_property
    def solvable(self) -> BoolArray:
        """Questions with a feasible option, shape (n,)."""
        return np.asarray(self.feasible.any(axis=1))

    @cached_property
    def sure(self) -> BoolArray:
        """Questions with an option that is within every cap by itself, shape (n,): all can be served at once."""
        within = (self.weight <= self.cap[:, np.newaxis, np.newaxis]).all(axis=0)
        return np.asarray((within & self.feasible).any(axis=1))

    def restricted(self, rows: BoolArray) -> Self:
        """The same programme in which only some questions may be served.

        Args:
            rows: Those questions, shape (n,).
        """
        return replace(self, feasible=self.feasible & rows[:, np.newaxis])

    def evaluate(self, choice: IntArray) -> Solution:
        """What a choice serves, gains and uses.

        Args:
            choice: Option of each question, -1 for none, shape (n,).

        Raises:
            DataError: An option that is not feasible.
        """
        rows = self._accepted(choice)
        columns = choice[rows]
        used = self.weight[:, rows, columns].sum(axis=1) / max(len(rows), 1)
        return Solution(choice, len(rows), float(self.gain[rows, columns].sum()), used)

    def excess(self, choice: IntArray) -> FloatArray:
        """How far each cap's sum is above 0, shape (G,); at most 0 where it is met to the last bits.

        Args:
            choice: Option of each question, -1 for none, shape (n,).

        Raises:
            DataError: An option that is not feasible.
        """
        rows = self._accepted(choice)
        weight = self.weight[:, rows, choice[rows]]
        over = weight.sum(axis=1) - self.cap * len(rows)
        rounding = ROUNDING * (np.abs(self.cap) * len(rows) + np.abs(weight).sum(axis=1))
        return np.asarray(np.where(over <= rounding, np.minimum(over, 0), over))

    def _accepted(self, choice: IntArray) -> IntArray:
        n, k = self.gain.shape
        if choice.shape != (n,) or choice.min() < ABSTAIN or choice.max() >= k:
            raise DataError(f"choice must be of shape ({n},) with columns -1 .. {k - 1}, got shape {choice.shape}")
        rows = np.flatnonzero(choice != ABSTAIN)
        if not self.feasible[rows, choice[rows]].all():
            raise DataError("choice takes an option that is not feasible")
        return rows


@dataclass(frozen=True, eq=False)
class Solution:
    """What is accepted.

    Attributes:
        choice: Option of each question, -1 where none is accepted, shape (n,).
        served: Questions with an accepted option.
        gain: Sum of the accepted options' gains.
        used: Mean weight of the accepted options, to be compared with each cap, shape (G,); 0 where nothing is served.
    """

    choice: IntArray
    served: int
    gain: float
    used: FloatArray


def check_order(order: str) -> None:
    """Refuse an order that does not exist.

    Raises:
        ConfigError: As said.
    """
    if order not in ("served", "gain"):
        raise ConfigError(f"order must be 'served' or 'gain', got {order!r}")


def draw_among_equals(programme: Programme, choice: IntArray, rng: np.random.Generator) -> IntArray:
    """Replace each accepted option by one drawn from those of its question that gain and weigh the same.

    Among right responses of one group nothing else tells which to learn from (2501.17974 inherits this from best-of-n).

    Args:
        programme: Whose options they are.
        choice: Option of each question, -1 for none, shape (n,).
        rng: Draws.
    """
    drawn = choice.copy()
    for start in range(0, len(choice), ROWS):
        part = slice(start, start + ROWS)
        rows = np.arange(start, start + len(choice[part]))
        gain, weight = programme.gain[part], programme.weight[:, part]
        equal = programme.feasible[part] & (gain == gain[rows - start, choice[part], np.newaxis])
        for table in weight:
            equal &= table == table[rows - start, choice[part], np.newaxis]
        several = np.flatnonzero((choice[part] != ABSTAIN) & (equal.sum(axis=1) > 1))
        draws = np.where(equal[several], 1 - rng.random((len(several), equal.shape[1])), 0)
        drawn[start + several] = draws.argmax(axis=1)
    return drawn
