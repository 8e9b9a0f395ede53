"""The same programme by a mixed-integer solver: any number of caps, and the oracle of the faster solvers' tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from forethought.allocation.base import ABSTAIN
from forethought.allocation.programme import Order, Programme, Solution, check_order, draw_among_equals
from forethought.errors import UpstreamError
from forethought.metrics import BoolArray, FloatArray, IntArray

SCALE = 1e3
"""Largest coefficient after scaling. HiGHS stops within 1e-6, absolute: small numbers would be lost in it."""

TIGHTENINGS = 4
"""How often a cap that the solver's own tolerance let pass is tightened."""


def solve_milp(programme: Programme, *, order: Order = "served", seed: int = 0) -> Solution:
    """Solve a programme with HiGHS, through scipy.

    Args:
        programme: Any number of caps, any weights.
        order: What comes first, the questions served or the gain; see `Order`.
        seed: Draws among equal responses of a question.

    Raises:
        ConfigError: Unknown order.
        UpstreamError: The solver gave up.
    """
    check_order(order)
    if not programme.feasible.any():
        return programme.evaluate(np.full(len(programme.gain), ABSTAIN, dtype=np.int64))
    model = _Model.of(programme)
    if order == "gain":
        choice = model.best(model.gain, least=programme.sure, total=0)
    elif programme.sure[programme.solvable].all():
        choice = model.best(model.gain, least=programme.solvable, total=0)
    else:
        most = model.best(np.ones(len(model.gain)), least=programme.sure, total=0)
        served = int(np.count_nonzero(most != ABSTAIN))
        choice = model.best(model.gain, least=programme.sure, total=served)
    return programme.evaluate(draw_among_equals(programme, choice, np.random.default_rng(seed)))


@dataclass(frozen=True, eq=False)
class _Model:
    """One 0/1 variable for each feasible option.

    Attributes:
        programme: What is modelled.
        row: Question of each variable, (s,).
        column: Its option, (s,).
        gain: Its gain, scaled, (s,).
        over: What it adds to each cap's sum, scaled, (G, s).
    """

    programme: Programme
    row: IntArray
    column: IntArray
    gain: FloatArray
    over: FloatArray

    @classmethod
    def of(cls, programme: Programme) -> Self:
        row, column = np.nonzero(programme.feasible)
        over = programme.weight[:, row, column] - programme.cap[:, np.newaxis]
        return cls(programme, row, column, _scaled(programme.gain[np.newaxis, row, column])[0], _scaled(over))

    def best(self, objective: FloatArray, *, least: BoolArray, total: int) -> IntArray:
        """The choice of the largest sum.

        Args:
            objective: Of each variable, (s,).
            least: Questions that must be served, (n,).
            total: How many must be served at least.
        """
        limit = np.zeros(len(self.over))
        for _ in range(TIGHTENINGS):
            choice = self._choice(self._solve(objective, least, total, limit))
            excess = self.programme.excess(choice)
            if (excess <= 0).all():
                return choice
            over = self.over @ (choice[self.row] == self.column)
            limit -= np.where(excess > 0, 2 * over, 0)
        raise UpstreamError(f"HiGHS met the caps only to {excess.max():g}, which is more than rounding")

    def _solve(self, objective: FloatArray, least: BoolArray, total: int, limit: FloatArray) -> FloatArray:
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        size = len(self.row)
        one_each = csr_array((np.ones(size), (self.row, np.arange(size))), shape=(len(self.programme.gain), size))
        constraints = [
            LinearConstraint(one_each, least.astype(np.float64), 1.0),
            LinearConstraint(csr_array(np.ones((1, size))), float(total), np.inf),
        ]
        if len(limit):
            constraints.append(LinearConstraint(csr_array(self.over), -np.inf, limit))
        exact = {"mip_rel_gap": 0.0}
        found = milp(-objective, integrality=np.ones(size), bounds=Bounds(0, 1), constraints=constraints, options=exact)
        if found.x is None or found.status != 0:
            raise UpstreamError(f"HiGHS did not solve {size} variables under {len(limit)} caps: {found.message}")
        return np.asarray(found.x)

    def _choice(self, x: FloatArray) -> IntArray:
        taken = x > 0.5
        choice = np.full(len(self.programme.gain), ABSTAIN, dtype=np.int64)
        choice[self.row[taken]] = self.column[taken]
        return choice


def _scaled(table: FloatArray) -> FloatArray:
    """Each row divided so that its largest entry is `SCALE`; a row of zeros stays."""
    largest = np.abs(table).max(axis=1, keepdims=True)
    return np.asarray(table * (SCALE / np.where(largest > 0, largest, 1)))
