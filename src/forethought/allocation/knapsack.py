"""One cap on mean cost: the multiple-choice knapsack along each question's concave hull (Sinha and Zoltners 1979)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from forethought.allocation.base import ABSTAIN
from forethought.allocation.programme import ROUNDING, ROWS, Programme, Solution, draw_among_equals
from forethought.errors import BudgetError, DataError
from forethought.metrics import BoolArray, FloatArray, IntArray

EXCHANGES = 4
"""What the last step that does not fit leaves over is spent in at most this many single changes."""


@dataclass(frozen=True, eq=False)
class KnapsackSolution(Solution):
    """What is accepted, and how far it can be from the best.

    Attributes:
        bound: No choice that serves these questions within the budget gains more: the linear relaxation's optimum.
        price: Gain per unit of cost at which the budget runs out, the cap's Lagrange multiplier; 0 where it does not.
    """

    bound: float
    price: float

    @property
    def gap(self) -> float:
        """What the bound is above the gain, >= 0; less than the gain of one step of one question's hull."""
        return max(self.bound - self.gain, 0.0)


def solve_knapsack(programme: Programme, *, seed: int = 0) -> KnapsackSolution:
    """Serve every solvable question at its least cost, then spend the rest where it gains most per unit.

    Each question climbs its upper concave hull of (cost, gain); the steps of all are taken by falling gain per cost
    until one does not fit. That is the linear relaxation but for its one fractional step, so the gain is within that
    step's gain of the best. What is left over buys single changes of option.

    Args:
        programme: One cap, with any weights, as `Programme.of_costs` makes it.
        seed: Draws among equal options, and among equal steps where the budget runs out.

    Raises:
        DataError: Several caps.
        BudgetError: The budget does not serve every solvable question even at its least cost; says what would.
            `largest_service` gives the programme of those that it does serve.
    """
    rng = np.random.default_rng(seed)
    start = cheapest(programme)
    steps = HullSteps.of(programme, start)
    left = _left(programme, start)
    steps = steps.shuffled_at(left, rng)
    count = steps.affordable(left)
    choice = start.copy()
    choice[steps.row[:count]] = steps.option[:count]
    spent = float(steps.cost[:count].sum())
    bound = programme.evaluate(start).gain + steps.relaxed_gain(left)
    if count < len(steps.row):
        choice = _exchanged(programme, choice, left - spent)
    found = programme.evaluate(draw_among_equals(programme, choice, rng))
    return KnapsackSolution(found.choice, found.served, found.gain, found.used, bound, steps.price(left))


def largest_service(programme: Programme) -> Programme:
    """Restrict a programme to the largest set of questions that its budget can serve, the cheapest first.

    Of sets as large the cheapest is taken, which need not be the one that gains most; `solve_milp` finds that one.

    Args:
        programme: One cap.

    Raises:
        DataError: Several caps.
    """
    start = cheapest(programme)
    rows = np.flatnonzero(start != ABSTAIN)
    over = programme.weight[0][rows, start[rows]] - programme.cap[0]
    order = np.lexsort((-programme.gain[rows, start[rows]], over))
    # The sum falls, then rises: where it is within the cap is the beginning.
    within = over[order].cumsum() <= ROUNDING * np.abs(over[order]).cumsum()
    served = np.zeros(len(start), dtype=np.bool_)
    served[rows[order[: np.count_nonzero(within)]]] = True
    return programme.restricted(served)


def cheapest(programme: Programme) -> IntArray:
    """Option of least weight of each question, of equals the one that gains most; -1 where none is feasible, (n,).

    Raises:
        DataError: Several caps.
    """
    if len(programme.cap) != 1:
        raise DataError(f"a knapsack has one cap, got {len(programme.cap)}; solve_milp takes any number")
    chosen = np.empty(len(programme.gain), dtype=np.int64)
    for start in range(0, len(chosen), ROWS):
        part = slice(start, start + ROWS)
        feasible = programme.feasible[part]
        cost = np.where(feasible, programme.weight[0][part], np.inf)
        least = cost == cost.min(axis=1, keepdims=True)
        gain = np.where(least & feasible, programme.gain[part], -np.inf)
        chosen[part] = np.where(feasible.any(axis=1), gain.argmax(axis=1), ABSTAIN)
    return chosen


@dataclass(frozen=True, eq=False)
class HullSteps:
    """Steps of every question along its hull, by falling gain per cost; a question's own in the order of its hull.

    Attributes:
        row: Question, shape (s,).
        option: Option after the step, (s,).
        cost: What the step adds to the cost, > 0, (s,).
        gain: What it adds to the gain, > 0, (s,).
        slope: Gain per cost, falling, (s,).
    """

    row: IntArray
    option: IntArray
    cost: FloatArray
    gain: FloatArray
    slope: FloatArray

    @classmethod
    def of(cls, programme: Programme, start: IntArray) -> Self:
        """Find the steps.

        Args:
            programme: One cap.
            start: Where each question begins: its `cheapest` option, -1 to leave it out, (n,).
        """
        found = []
        for first in range(0, len(start), ROWS):
            part = slice(first, first + ROWS)
            tables = (programme.gain[part], programme.weight[0][part], programme.feasible[part])
            found += [(row + first, *rest) for row, *rest in _climb(*tables, start[part])]
        if not found:
            none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
            return cls(none, none, nothing, nothing, nothing)
        # Column by column, so that no more than one of them is held twice.
        columns = [list(column) for column in zip(*found, strict=True)]
        del found
        slope = np.concatenate(columns.pop())
        order = np.argsort(-slope, kind="stable")
        slope = slope[order]
        gain, cost, option, row = (np.concatenate(columns.pop())[order] for _ in range(4))
        return cls(row, option, cost, gain, slope)

    def affordable(self, left: float) -> int:
        """How many steps fit from the first, before one that does not.

        Args:
            left: What may be spent.
        """
        spent = self.cost.cumsum()
        return int(np.searchsorted(spent, left + ROUNDING * abs(left), side="right"))

    def price(self, left: float) -> float:
        """Gain per cost of the first step that does not fit; 0 where all do.

        Args:
            left: What may be spent.
        """
        count = self.affordable(left)
        return float(self.slope[count]) if count < len(self.slope) else 0.0

    def relaxed_gain(self, left: float) -> float:
        """Most that steps gain where one may be taken in part.

        Args:
            left: What may be spent.
        """
        count = self.affordable(left)
        whole = float(self.gain[:count].sum())
        if count == len(self.gain):
            return whole
        part = (left - float(self.cost[:count].sum())) / float(self.cost[count])
        return whole + min(max(part, 0.0), 1.0) * float(self.gain[count])

    def shuffled_at(self, left: float, rng: np.random.Generator) -> Self:
        """The same steps, those that are as good as the first that does not fit in an order by lot.

        Args:
            left: What may be spent.
            rng: Draws the order of questions; a question's own steps stay in theirs.
        """
        slope = self.price(left)
        first, last = np.searchsorted(-self.slope, -slope, side="left"), np.searchsorted(-self.slope, -slope, "right")
        if last - first < 2:
            return self
        block = slice(int(first), int(last))
        rows, place = np.unique(self.row[block], return_inverse=True)
        order = np.arange(len(self.row))
        order[block] = order[block][np.argsort(rng.permutation(len(rows))[place], kind="stable")]
        return type(self)(self.row[order], self.option[order], self.cost[order], self.gain[order], self.slope)


_Step = tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]


def _climb(gain: FloatArray, cost: FloatArray, feasible: BoolArray, start: IntArray) -> list[_Step]:
    """Steps of some questions at once, each to the option of steepest gain from here, the nearest of equals."""
    steps: list[_Step] = []
    row = np.flatnonzero(start != ABSTAIN)
    here, before = start[row], np.full(len(row), np.inf)
    worth = np.where(feasible, gain, -np.inf)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        while len(row):
            rise = worth[row] - worth[row, here][:, np.newaxis]
            run = cost[row] - cost[row, here][:, np.newaxis]
            slope = np.where((rise > 0) & (run > 0), rise / run, 0.0)
            steepest = slope.max(axis=1)
            option = np.where(slope == steepest[:, np.newaxis], run, np.inf).argmin(axis=1)
            on = np.flatnonzero(steepest > 0)
            if not len(on):
                break
            row, here = row[on], option[on]
            # On a straight hull the last bit must not let a later step pass an earlier one.
            before = np.minimum(before[on], steepest[on])
            steps.append((row, here, run[on, here], rise[on, here], before))
    return steps


def _left(programme: Programme, start: IntArray) -> float:
    """What the budget leaves after every question's least cost."""
    if programme.excess(start)[0] > 0:
        found = programme.evaluate(start)
        raise BudgetError(
            f"a mean cost of {programme.cap[0]:g} does not serve all {found.served} solvable questions; the least mean "
            f"cost that does is {found.used[0]:.6g}, and largest_service leaves out the dearest"
        )
    rows = np.flatnonzero(start != ABSTAIN)
    return max(float((programme.cap[0] - programme.weight[0][rows, start[rows]]).sum()), 0.0)


def _exchanged(programme: Programme, choice: IntArray, left: float) -> IntArray:
    """Change single questions' options, the best change that fits first, while one gains."""
    choice = choice.copy()
    for _ in range(EXCHANGES):
        best = (0.0, 0, 0, 0.0)
        for start in range(0, len(choice), ROWS):
            best = max(best, _best_change(programme, choice, slice(start, start + ROWS), left))
        gained, row, option, cost = best
        if gained <= 0:
            break
        choice[row] = option
        left -= cost
    return choice


def _best_change(programme: Programme, choice: IntArray, part: slice, left: float) -> tuple[float, int, int, float]:
    """Gain, question, option and cost of the best affordable change among some questions."""
    here = choice[part]
    rows = np.arange(len(here))
    gain, cost = programme.gain[part], programme.weight[0][part]
    with np.errstate(invalid="ignore"):
        run = cost - cost[rows, here][:, np.newaxis]
        allowed = programme.feasible[part] & (run <= left) & (here != ABSTAIN)[:, np.newaxis]
        rise = np.where(allowed, gain - gain[rows, here][:, np.newaxis], 0.0)
    row, option = divmod(int(rise.argmax()), rise.shape[1])
    return float(rise[row, option]), row + part.start, option, float(run[row, option])
