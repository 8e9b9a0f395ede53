"""What each rule serves when all that is given is a mean cost: budgeted allocation, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forethought.allocation import (
    MeanCostCap,
    Pacer,
    Pacing,
    Policy,
    Programme,
    Tolerance,
    Utility,
    solve_knapsack,
)
from forethought.errors import ConfigError
from forethought.metrics import picked, static_hull

Array = NDArray[np.float64]
Choice = NDArray[np.int64]

BISECTIONS = 60


class Forecast(NamedTuple):
    """Predictions for some questions, an option (a target, its votes or its depth) a column.

    Attributes:
        success: P(success), shape (n, K).
        cost: Expected USD with the encoder's prefill, shape (n, K).
    """

    success: Array
    cost: Array


@dataclass(frozen=True)
class Serving:
    """Questions to serve under a budget, and what may be known before.

    Attributes:
        targets: K names.
        past: Success and recorded USD of questions that nothing is served of, NaN where missing, shape (m, K) each:
            what a choice without predictions is made on.
        calibration: Predictions that prices and settings are fitted on; no label of these questions is read.
        served: Predictions for the questions that are served.
        paid: What each answer to those really cost, without the prefill, NaN where not recorded, shape (n, K).
        prefill: USD of the encoder's prefill of each, shape (n,).
    """

    targets: Sequence[str]
    past: Forecast
    calibration: Forecast
    served: Forecast
    paid: Array
    prefill: Array

    @property
    def least(self) -> float:
        """The lowest budget that every rule can keep by its predictions: the cheapest option of each question."""
        return max(float(part.cost.min(axis=1).mean()) for part in (self.calibration, self.served))

    def recorded(self, share: Array, *, reads: bool) -> Array:
        """USD really spent on each question, shape (n,); NaN where an answer's cost is not recorded.

        Args:
            share: Share of each option, shape (n, K).
            reads: Whether the prefill is paid for.
        """
        return expected(share, self.paid) + (self.prefill if reads else 0.0)

    def predicted(self, share: Array, *, reads: bool) -> float:
        """Mean USD a question by the predictions.

        Args:
            share: As above.
            reads: As above.
        """
        return float(expected(share, self.served.cost).mean() - (0.0 if reads else self.prefill.mean()))


@dataclass(frozen=True, eq=False)
class Allotment:
    """Who serves each question under one rule.

    Attributes:
        name: Of the rule.
        setting: Its setting in words.
        share: Share of each option, rows of sum 1, shape (n, K); whole but for a random mixture.
        reads: Whether the rule needs the encoder's prefill, and so pays for it.
    """

    name: str
    setting: str
    share: Array
    reads: bool = True


def allotments(serving: Serving, budget: float, *, seed: int = 0) -> list[Allotment]:
    """What every rule serves within a mean cost; rules that cannot be set within it are left out.

    `batch` knows all questions beforehand, `price` fixes a price on the calibration part, `stream` moves it with
    what was spent. `utility` and `tolerance` take their most generous setting that keeps the mean cost on that part.

    Args:
        serving: Questions.
        budget: Mean USD a question, at least `serving.least`.
        seed: Draws among equal options, and the order of the stream.

    Raises:
        BudgetError: The budget is below the least.
    """
    rules: list[Callable[[], Allotment | None]] = [
        lambda: batch(serving, budget, seed=seed),
        lambda: price(serving, budget),
        lambda: stream(serving, budget, seed=seed),
        lambda: utility(serving, budget),
        lambda: tolerance(serving, budget),
        lambda: best_single_within(serving, budget),
        lambda: static_mixture(serving, budget),
    ]
    return [found for rule in rules if (found := rule()) is not None]


def batch(serving: Serving, budget: float, *, seed: int = 0) -> Allotment:
    """The knapsack over all questions at once, by their predictions; arguments as in `allotments`."""
    found = solve_knapsack(Programme.of_costs(*serving.served, budget), seed=seed)
    said = (
        f"knapsack; {found.price:.4g} successes per USD at the budget, at most {found.gap:.2g} successes from the best"
    )
    return Allotment("batch", said, whole(found.choice, serving.served))


def price(serving: Serving, budget: float) -> Allotment:
    """One price on cost for every question, fitted on the calibration part; arguments as in `allotments`."""
    policy = MeanCostCap.fit(*serving.calibration, budget)
    return _of_policy("price", policy, f"{policy.price:.4g} successes per USD", serving)


def stream(serving: Serving, budget: float, *, seed: int = 0) -> Allotment:
    """A paced price over the questions in an order by lot, charged what was paid; arguments as in `allotments`."""
    success, cost = serving.served
    paid = serving.paid + serving.prefill[:, np.newaxis]
    bill = np.where(np.isnan(paid), cost, paid)
    pacer = Pacer(Pacing.calibrated(*serving.calibration, budget))
    start, choice = pacer.price, np.empty(len(cost), dtype=np.int64)
    for row in np.random.default_rng(seed).permutation(len(cost)).tolist():
        choice[row] = pacer.choose(success[row].tolist(), cost[row].tolist())
        pacer.charge(float(bill[row, choice[row]]))
    said = f"from {start:.4g} to {pacer.price:.4g} successes per USD"
    return Allotment("stream", said, whole(choice, serving.served))


def utility(serving: Serving, budget: float) -> Allotment | None:
    """Lambda utility, None where all options cost the same on average; arguments as in `allotments`."""
    calibration = serving.calibration
    try:
        policy = Utility.normalised_by(0.0, calibration.cost)
    except ConfigError:
        return None

    def at(lam: float) -> Policy:
        return Utility(lam, policy.low, policy.high)

    most = 1.0
    while _spent(at(most), calibration) > budget and most < 1e12:
        most *= 2
    lam = _smallest(at, most, calibration, budget)
    return _of_policy("lambda utility", at(lam), f"lambda = {lam:.4g}", serving)


def tolerance(serving: Serving, budget: float) -> Allotment:
    """The cheapest within a tolerance of the best; arguments as in `allotments`."""
    tau = _smallest(Tolerance, 1.0, serving.calibration, budget)
    return _of_policy("tolerance", Tolerance(tau), f"tau = {tau:.4g}", serving)


def best_single_within(serving: Serving, budget: float) -> Allotment | None:
    """The option that did best in the past within the budget, None where none is; arguments as in `allotments`."""
    success, cost = (np.nanmean(table, axis=0) for table in serving.past)
    if not (cost <= budget).any():
        return None
    column = int(np.where(cost <= budget, success, -np.inf).argmax())
    share = whole(np.full(len(serving.paid), column), serving.served)
    return Allotment("best single within", f"always {serving.targets[column]}", share, reads=False)


def static_mixture(serving: Serving, budget: float) -> Allotment | None:
    """Two corners of the past's static hull by lot, None below its first; arguments as in `allotments`."""
    success, cost = (np.nanmean(table, axis=0) for table in serving.past)
    hull = static_hull(cost, success)
    if budget < hull.cost[0]:
        return None
    place = np.interp(budget, hull.cost, np.arange(len(hull.cost)))
    low, high = int(np.floor(place)), int(np.ceil(place))
    share = np.zeros_like(serving.served.cost)
    share[:, hull.targets[low]] = 1 - (place - low)
    share[:, hull.targets[high]] += place - low
    parts = [(hull.targets[low], 1 - (place - low)), (hull.targets[high], place - low)]
    said = ", ".join(f"{100 * part:.1f}% {serving.targets[column]}" for column, part in parts if part > 0)
    return Allotment("static mixture", said, share, reads=False)


def whole(choice: Choice, forecast: Forecast) -> Array:
    """A choice as shares, shape (n, K)."""
    share = np.zeros_like(forecast.cost)
    share[np.arange(len(choice)), choice] = 1.0
    return share


def expected(share: Array, table: Array) -> Array:
    """Mean of a table over each row's shares, shape (n,); NaN only where an option that has a share is missing."""
    return np.asarray(np.where(share > 0, share * table, 0.0).sum(axis=1))


def _of_policy(name: str, policy: Policy, setting: str, serving: Serving) -> Allotment:
    return Allotment(name, setting, whole(policy.choose(*serving.served), serving.served))


def _spent(policy: Policy, forecast: Forecast) -> float:
    return float(picked(forecast.cost, policy.choose(*forecast)).mean())


def _smallest(at: Callable[[float], Policy], most: float, forecast: Forecast, budget: float) -> float:
    """The smallest setting in [0, most] that keeps the mean cost; spending falls as the setting rises."""
    if _spent(at(0.0), forecast) <= budget:
        return 0.0
    low, high = 0.0, most
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if _spent(at(middle), forecast) <= budget else (middle, high)
    return high
