"""IBPO's selection: the programme decides which responses to learn from (arXiv 2501.17974, eq. 8, corrected)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from forethought.allocation import (
    Programme,
    SmoothedMargins,
    Solution,
    conditional_margins,
    joint_margins,
    largest_service,
    solve_knapsack,
    solve_share_cap,
)
from forethought.allocation.programme import Order, check_order
from forethought.errors import ConfigError
from forethought.metrics import FloatArray
from forethought.training.base import Rollouts, State, Weighed
from forethought.training.selections import feasible

MarginKind = Literal["conditional", "smoothed", "joint"]
Unit = Literal["share", "trials", "tokens"]


class InferenceAware:
    """Accepts at most one response a question, under a budget, so that what is accepted gains the most.

    A voting response gains the question's margin, what voting adds there, a single one loses it. Margins are
    `conditional` means of the batch (the paper's text), `smoothed` by a regression on features of the question, which
    is what a probe contributes, or the `joint` frequencies of the paper's listing, which are kept to be compared with.

    Args:
        budget: Largest mean of what is accepted, in `unit`: for `share` in [0, 1].
        unit: `share` of voting answers, `trials` or `tokens` of an answer. USD are tokens times a price.
        margins: See above.
        kl_max: Largest log-ratio to the reference of an accepted response, nats; the paper's 1024 binds nothing.
        order: Of the programme's two goals; see `forethought.allocation.Order`. In other units than `share` service
            comes first.
        smoother: For `smoothed`.

    Raises:
        ConfigError: An unknown unit, margin or order, a budget outside its range, `smoothed` without a smoother.
    """

    name = "ibpo"

    def __init__(
        self,
        budget: float,
        *,
        unit: Unit = "share",
        margins: MarginKind = "conditional",
        kl_max: float = 1024.0,
        order: Order = "served",
        smoother: SmoothedMargins | None = None,
    ) -> None:
        if unit not in ("share", "trials", "tokens"):
            raise ConfigError(f"unit must be 'share', 'trials' or 'tokens', got {unit!r}")
        if margins not in ("conditional", "smoothed", "joint"):
            raise ConfigError(f"margins must be 'conditional', 'smoothed' or 'joint', got {margins!r}")
        least = 0.0 if unit == "share" else 1.0
        if not least <= budget <= (1.0 if unit == "share" else np.inf):
            raise ConfigError(
                f"a budget in {unit} must be >= {least:g}" + (" and <= 1" * (unit == "share")) + f", got {budget}"
            )
        if (margins == "smoothed") != (smoother is not None):
            raise ConfigError("margins='smoothed' and a smoother come together")
        check_order(order)
        if order != "served" and unit != "share":
            raise ConfigError(f"a budget in {unit} serves first: order must be 'served', got {order!r}")
        self.budget = float(budget)
        self.unit: Unit = unit
        self.margins: MarginKind = margins
        self.kl_max = kl_max
        self.order: Order = order
        self.smoother = smoother

    @property
    def settings(self) -> Mapping[str, float | str]:
        """The method and its parameters."""
        settings: dict[str, float | str] = {
            "method": self.name,
            "budget": self.budget,
            "unit": self.unit,
            "margins": self.margins,
            "kl_max": self.kl_max,
            "order": self.order,
        }
        if self.smoother is not None:
            settings |= {"penalty": self.smoother.penalty, "discount": self.smoother.discount}
        return settings

    def weigh(self, rollouts: Rollouts, *, seed: int) -> Weighed:
        """See `Selection.weigh`."""
        margin = self._margins(rollouts)
        solution = self._solve(rollouts, margin, seed)
        served = np.flatnonzero(solution.choice >= 0)
        weights = np.zeros(rollouts.voted.shape)
        weights[served, solution.choice[served]] = 1.0
        figures = {
            "accepted": float(len(served)),
            "accepted_share": float(rollouts.voted[weights > 0].mean()) if len(served) else 0.0,
            "used": float(solution.used[0]),
            "programme_gain": solution.gain,
        }
        return Weighed(weights, figures)

    def state(self) -> State:
        """The smoother's moments."""
        if self.smoother is None:
            return {}
        return {"moments": self.smoother.moments, "products": self.smoother.products}

    def restore(self, state: State) -> None:
        """Take up the smoother's moments."""
        if self.smoother is not None:
            self.smoother.moments, self.smoother.products = state["moments"], state["products"]

    def _margins(self, rollouts: Rollouts) -> FloatArray:
        if self.margins == "joint":
            return joint_margins(rollouts.right, rollouts.voted)
        found = conditional_margins(rollouts.right, rollouts.voted)
        if self.smoother is None:
            return found.margin
        # Predicted before it is learnt from: a batch's own noise must not choose among its own traces.
        known = bool(self.smoother.moments.any())
        margin = np.clip(self.smoother.predict(rollouts.features), -1, 1) if known else found.margin
        self.smoother.update(rollouts.features, found.margin, found.weight)
        return margin

    def _solve(self, rollouts: Rollouts, margin: FloatArray, seed: int) -> Solution:
        allowed = feasible(rollouts, self.kl_max)
        if self.unit == "share":
            programme = Programme.of_votes(margin, rollouts.voted, allowed, self.budget)
            return solve_share_cap(programme, order=self.order, seed=seed)
        gain = np.where(rollouts.voted, margin[:, np.newaxis], -margin[:, np.newaxis])
        cost = rollouts.trials if self.unit == "trials" else rollouts.tokens
        programme = largest_service(Programme.of_costs(gain, cost, self.budget, allowed))
        return solve_knapsack(programme, seed=seed)
