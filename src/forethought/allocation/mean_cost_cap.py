"""The most success that a mean cost buys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from forethought.allocation.base import cheapest_of_best, check_table
from forethought.errors import BudgetError, ConfigError
from forethought.metrics import FloatArray, IntArray, picked

BISECTIONS = 100
CLOSE = 1e-12


@final
@dataclass(frozen=True)
class MeanCostCap:
    """Choose argmax_k p_k - price * c_k, the price set so that the mean cost meets a cap.

    The price is the cap's Lagrange multiplier. Where many questions sit at that price the mean
    cost jumps there, so a share of them is decided at a price just below and the rest just
    above. Which of them is drawn from the bits of the question's own predictions: a decision
    stays a pure function of its row.

    Attributes:
        cap: Mean USD per question that was asked for, > 0.
        price: Success per USD that keeps the mean cost within the cap.
        lower_price: Just below, where it would not; equal to `price` where the cap does not bind.
        mix: Share in [0, 1] decided at the lower price.
    """

    cap: float
    price: float
    lower_price: float
    mix: float
    name = "mean_cost_cap"

    def __post_init__(self) -> None:
        if not (self.cap > 0 and self.price >= self.lower_price >= 0 and 0 <= self.mix <= 1):
            raise ConfigError(f"need cap > 0, price >= lower_price >= 0 and mix in [0, 1], got {self}")

    @classmethod
    def fit(cls, success: FloatArray, cost: FloatArray, cap: float) -> MeanCostCap:
        """Find the price by bisection on predictions for calibration questions.

        Args:
            success: P(success), shape (n, K).
            cost: Expected USD, shape (n, K).
            cap: Mean USD per question, held on these predictions.

        Raises:
            BudgetError: Even the cheapest target on every question costs more.
        """
        check_table(success, cost)
        least = float(cost.min(axis=1).mean())
        if not least <= cap:
            raise BudgetError(f"a mean cost of {cap:g} USD cannot be met; the cheapest possible is {least:g}")
        if _spent(success, cost, 0.0) <= cap:
            return cls(cap, 0.0, 0.0, 0.0)
        low, high = 0.0, _dearest_price(success, cost)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (low, middle) if _spent(success, cost, middle) <= cap else (middle, high)
            if high - low <= CLOSE * high:
                break
        return cls(cap, high, low, _mix(success, cost, (low, high), cap))

    @property
    def setting(self) -> dict[str, float]:
        """The cap, both prices and the share between them."""
        return {"cap": self.cap, "price": self.price, "lower_price": self.lower_price, "mix": self.mix}

    @property
    def because(self) -> str:
        """The rule in words."""
        return f"the best P(success) less {self.price:g} per USD, to keep the mean cost within {self.cap:g} USD"

    def choose(self, success: FloatArray, cost: FloatArray) -> IntArray:
        """Choose one target a question; see `Policy.choose`."""
        check_table(success, cost)
        thrifty = _at_price(success, cost, self.price)
        if self.mix == 0:
            return thrifty
        generous = _at_price(success, cost, self.lower_price)
        if (generous == thrifty).all():
            return thrifty
        return np.where(_uniform(success, cost, thrifty) < self.mix, generous, thrifty)


def _at_price(success: FloatArray, cost: FloatArray, price: float) -> IntArray:
    return cheapest_of_best(success - price * cost, cost)


def _spent(success: FloatArray, cost: FloatArray, price: float) -> float:
    return float(picked(cost, _at_price(success, cost, price)).mean())


def _dearest_price(success: FloatArray, cost: FloatArray) -> float:
    """A price at which every question goes to its cheapest target."""
    extra = cost - cost.min(axis=1, keepdims=True)
    return 2.0 * float(np.ptp(success, axis=1).max()) / float(extra[extra > 0].min())


def _mix(success: FloatArray, cost: FloatArray, prices: tuple[float, float], cap: float) -> float:
    """The largest share at the lower price that keeps the mean cost within the cap."""
    generous, thrifty = (_at_price(success, cost, price) for price in prices)
    drawn = _uniform(success, cost, thrifty)
    order = np.argsort(drawn, kind="stable")
    spent = picked(cost, thrifty).mean() + np.cumsum((picked(cost, generous) - picked(cost, thrifty))[order]) / len(
        cost
    )
    over = np.flatnonzero(spent > cap)
    # Decided at the lower price are the rows with drawn < mix: all before the first that breaks the cap.
    return float(drawn[order][over[0]]) if len(over) else 1.0


def _uniform(success: FloatArray, cost: FloatArray, choice: IntArray) -> FloatArray:
    """A number in [0, 1) from each row's chosen probability and cost, by Fibonacci hashing of their bits."""
    rows = np.arange(len(choice))
    p, c = (table[rows, choice].astype(np.float64).view(np.uint64) for table in (success, cost))
    bits = p ^ (c << np.uint64(1))
    bits = (bits ^ (bits >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) / 2**53)
