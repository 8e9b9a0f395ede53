"""The exact answer for two groups and one cap on a group's share, by sorting (arXiv 2501.17974, corrected)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from forethought.allocation.base import ABSTAIN
from forethought.allocation.programme import (
    ROUNDING,
    Order,
    Programme,
    Solution,
    check_order,
    draw_among_equals,
)
from forethought.errors import DataError
from forethought.metrics import BoolArray, FloatArray, IntArray


def solve_share_cap(programme: Programme, *, order: Order = "served", seed: int = 0) -> Solution:
    """Accept responses so that at most a share of them is of the capped group, at the most gain; exact.

    Questions that the other group can serve are always served. What is left is how many of those that only the capped
    group can serve ("vote-only") to serve, v, and which of the questions that have both to flip: for a given v the
    best v and the best flips are prefixes of two sorted lists, so one pass over v finds the optimum. Flips that gain
    nothing are not made.

    Args:
        programme: One cap in [0, 1] with weights 0 and 1, as `Programme.of_votes` makes it.
        order: `served` takes the largest v that the cap allows; `gain` the v of the largest gain, the smallest of
            equals. With a cap of 1, which binds nothing, both serve everything.
        seed: Draws among equal questions and equal responses.

    Raises:
        DataError: Several caps, a weight other than 0 and 1, or a cap outside [0, 1].
        ConfigError: Unknown order.
    """
    check_order(order)
    capped = _capped_group(programme)
    rng = np.random.default_rng(seed)
    groups = _Groups.of(programme, capped, rng)
    v, flips = groups.best(float(programme.cap[0]), order)
    choice = groups.other.copy()
    taken = np.concatenate([groups.only[:v], groups.both[:flips]])
    choice[taken] = groups.capped[taken]
    return programme.evaluate(draw_among_equals(programme, choice, rng))


@dataclass(frozen=True, eq=False)
class _Groups:
    """Best response of each kind, and who can be served by which.

    Attributes:
        capped: Best of the capped group, -1 where there is none, (n,).
        other: Best of the rest, -1 where there is none, (n,).
        only: Questions with the capped kind alone, by falling gain.
        both: Questions with both kinds, by what a flip gains, falling.
        worth_only: Gains of `only`.
        worth_flip: Gains of flipping `both`.
    """

    capped: IntArray
    other: IntArray
    only: IntArray
    both: IntArray
    worth_only: FloatArray
    worth_flip: FloatArray

    @classmethod
    def of(cls, programme: Programme, group: BoolArray, rng: np.random.Generator) -> Self:
        capped, above = _best(programme.gain, programme.feasible & group)
        other, below = _best(programme.gain, programme.feasible & ~group)
        luck = rng.random(len(capped))
        only = np.flatnonzero((capped != ABSTAIN) & (other == ABSTAIN))
        both = np.flatnonzero((capped != ABSTAIN) & (other != ABSTAIN))
        only = only[np.lexsort((luck[only], -above[only]))]
        flip = above[both] - below[both]
        order = np.lexsort((luck[both], -flip))
        return cls(capped, other, only, both[order], above[only], flip[order])

    def best(self, cap: float, order: Order) -> tuple[int, int]:
        """How many of `only` to serve and of `both` to flip."""
        v = np.arange(len(self.only) + 1)
        accepted = np.count_nonzero(self.other != ABSTAIN) + v
        # The product of a share and a count may fall short of a whole number by its last bits.
        left = np.floor(cap * accepted * (1 + ROUNDING)).astype(np.int64) - v
        v = v[left >= 0]
        flips = np.minimum(left[v], np.count_nonzero(self.worth_flip > 0))
        if order == "served" or cap >= 1:
            return int(v[-1]), int(flips[-1])
        gained = _prefix_sums(self.worth_only)[v] + _prefix_sums(self.worth_flip)[flips]
        best = int(gained.argmax())
        return best, int(flips[best])


def _best(gain: FloatArray, allowed: BoolArray) -> tuple[IntArray, FloatArray]:
    """Column of the largest gain among the allowed ones, -1 where there is none, and that gain."""
    worth = np.where(allowed, gain, -np.inf)
    column = worth.argmax(axis=1)
    largest = worth[np.arange(len(worth)), column]
    return np.where(allowed.any(axis=1), column, ABSTAIN), largest


def _prefix_sums(values: FloatArray) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(values)])


def _capped_group(programme: Programme) -> BoolArray:
    if programme.weight.shape[0] != 1 or not 0 <= programme.cap[0] <= 1:
        raise DataError(f"a share cap is one cap in [0, 1], got {programme.cap.tolist()}; solve_milp takes any")
    group = np.asarray(programme.weight[0] == 1)
    if not (group | (programme.weight[0] == 0) | ~programme.feasible).all():
        raise DataError("a share cap has weights 0 and 1 only; solve_knapsack and solve_milp take others")
    return group
