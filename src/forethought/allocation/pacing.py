"""A budget held over a stream: a price on cost that rises with overspending and falls with thrift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Self

from forethought.allocation.knapsack import HullSteps, cheapest
from forethought.allocation.programme import Programme
from forethought.errors import BudgetError, ConfigError, DataError
from forethought.metrics import FloatArray

WINDOW = 1000.0
"""Requests; benchmarks/allocation tries others, on seeds that report nothing."""

NEARBY = 0.1
"""Share of the budget by which the calibration set is over- and underspent to see how the price moves."""


@dataclass(frozen=True)
class Pacing:
    """How a price answers to what is spent.

    Attributes:
        budget: Mean cost of a request, > 0, in any unit.
        start: First price, gain per unit of cost, >= 0.
        scale: Change of price that would change the mean cost by about the whole budget, > 0.
        window: Requests, >= 1: an overspend of so many budgets raises the price by `scale`.
    """

    budget: float
    start: float
    scale: float
    window: float = WINDOW

    def __post_init__(self) -> None:
        if not (0 < self.budget < inf and 0 <= self.start < inf and 0 < self.scale < inf and 1 <= self.window < inf):
            raise ConfigError(f"need budget > 0, start >= 0, scale > 0 and window >= 1, all finite, got {self}")

    @classmethod
    def calibrated(cls, gain: FloatArray, cost: FloatArray, budget: float, *, window: float = WINDOW) -> Self:
        """Read the first price and the scale off questions like those to come.

        Args:
            gain: Predicted gains, shape (n, k).
            cost: Predicted costs, shape (n, k).
            budget: Mean cost of a request, > 0.
            window: As above.

        Raises:
            DataError: Tables of different shapes, or a value that is not finite.
            ConfigError: `budget` or `window` out of range.
            BudgetError: Even the cheapest option on every question costs more.
        """
        programme = Programme.of_costs(gain, cost, budget)
        options = cheapest(programme)
        least = float(programme.evaluate(options).used[0])
        if not least <= budget:
            raise BudgetError(f"a mean cost of {budget:g} cannot be met; the least on these questions is {least:.6g}")
        steps = HullSteps.of(programme, options)
        start, scale = _price_and_scale(steps, len(gain), least, budget)
        return cls(budget, start, scale, window)


@dataclass(frozen=True)
class PacerState:
    """Where a stream stands; plain numbers, to be stored as JSON.

    Attributes:
        base: Price without the overspend's part in it.
        requests: Requests charged so far.
        spent: Their cost.
    """

    base: float
    requests: int = 0
    spent: float = 0.0


class Pacer:
    """Chooses an option for each request by gain - price * cost, and moves the price with what was spent.

    The price is `base + scale * debt / window`, at least 0, where the debt is the overspend so far in requests'
    budgets: dual ascent, whose step is one request's overspend over the window. With that alone a debt would have to
    stay to hold the price up, so the base follows the price at a rate of 1 / (4 window), the fastest without
    overshooting: the mean cost of the whole stream goes to the budget, and after a shift of the questions the debt is
    paid back in a few windows. A thrifty stretch leaves a credit that is spent later; a new period of account begins
    with a new state.

    Not for several threads at once without a lock.

    Args:
        pacing: Budget and how fast to answer.
        state: Where to go on; at the first price by default.
    """

    __slots__ = ("_base", "_price", "_requests", "_spent", "pacing")

    def __init__(self, pacing: Pacing, state: PacerState | None = None) -> None:
        self.pacing = pacing
        start = state or PacerState(pacing.start)
        self._base, self._requests, self._spent = start.base, start.requests, start.spent
        self._price = self._priced()

    @property
    def price(self) -> float:
        """Gain that one unit of cost must bring, now."""
        return self._price

    @property
    def mean_cost(self) -> float:
        """Mean cost of the requests so far, 0 before the first."""
        return self._spent / self._requests if self._requests else 0.0

    def choose(self, gain: Sequence[float], cost: Sequence[float]) -> int:
        """Index of the option with the most gain less its cost at the price, ties to the cheaper, then the earlier.

        Args:
            gain: Predicted gain of each option allowed for this request.
            cost: Its predicted cost.

        Raises:
            DataError: No option, lists of different lengths, or nothing but NaN.
        """
        price, best, found, least = self._price, -inf, -1, inf
        if len(gain) != len(cost):
            raise DataError(f"{len(gain)} gains for {len(cost)} costs")
        for option, (worth, spending) in enumerate(zip(gain, cost, strict=True)):
            net = worth - price * spending
            if net > best or (net == best and spending < least):
                best, found, least = net, option, spending
        if found < 0:
            raise DataError(f"no option to choose from among {len(gain)}")
        return found

    def charge(self, cost: float) -> None:
        """Count a request and move the price.

        Args:
            cost: What the request really cost, or was predicted to where that is all there is.

        Raises:
            DataError: Not finite.
        """
        if not -inf < cost < inf:
            raise DataError(f"cost must be finite, got {cost}")
        self._base += (self._price - self._base) / (4 * self.pacing.window)
        self._requests += 1
        self._spent += cost
        self._price = self._priced()

    def snapshot(self) -> PacerState:
        """Where the stream stands: a pacer made with it goes on as this one would."""
        return PacerState(self._base, self._requests, self._spent)

    def _priced(self) -> float:
        pacing = self.pacing
        debt = self._spent / pacing.budget - self._requests
        return max(0.0, self._base + pacing.scale * debt / pacing.window)


def _price_and_scale(steps: HullSteps, n: int, least: float, budget: float) -> tuple[float, float]:
    """The price at the budget, and how far the price moves per relative change of spending around it."""
    if not len(steps.row):
        return 0.0, 1 / budget
    most = least + float(steps.cost.sum()) / n
    spent = min(budget, most)
    low, high = max((1 - NEARBY) * spent, least), min((1 + NEARBY) * spent, most)
    dear, fair = (steps.price((mean - least) * n) for mean in (low, high))
    start = steps.price((budget - least) * n)
    average = float(steps.gain.sum() / steps.cost.sum())
    change = (dear - fair) * spent / (high - low) if high > low else 0.0
    # Many questions of one slope make the price seem not to move at all; others may come.
    return start, max(change, start / 2, average / 10)
