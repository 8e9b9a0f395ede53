"""A made-up stream of requests whose mix of questions shifts in the middle, and the best fixed price for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

REQUESTS = 100_000
CALIBRATION = 2_000
VOTES = (1, 3, 8)
TARGETS = ((0.0, 1.0), (1.5, 6.0))
"""Logit of success over that of the small one, and cost of a token."""
BUDGET = 0.25
"""Share of the way from the cheapest mean cost to the dearest gainful one, on the calibration set."""

SPREAD = 0.5
"""Of the logarithm of what is paid around what was predicted."""

EASY, HARD = 0.8, 0.25
"""Share of easy questions in the two mixes."""


class Requests(NamedTuple):
    """Success and cost predicted, and cost paid, of two targets by one, three and eight votes, each (n, 6)."""

    gain: np.ndarray
    cost: np.ndarray
    paid: np.ndarray


class Stream(NamedTuple):
    """Requests to calibrate on, drawn from the first mix, those to serve, and the budget."""

    calibration: Requests
    requests: Requests
    budget: float


def draw_stream(seed: int, *, harder: bool, size: int = REQUESTS) -> Stream:
    """Calibration and stream; the mix gets harder in the middle, or easier."""
    rng = np.random.default_rng(seed)
    before, after = (EASY, HARD) if harder else (HARD, EASY)
    calibration = _draw(rng, before, CALIBRATION)
    halves = [_draw(rng, before, size // 2), _draw(rng, after, size - size // 2)]
    requests = Requests(*(np.concatenate(tables) for tables in zip(*halves, strict=True)))
    least, most = calibration.cost.min(axis=1).mean(), _at_price(calibration, 0.0)[1]
    # Never under what the cheapest options of the harder mix cost: nobody could keep to that.
    floor = 1.2 * requests.cost.min(axis=1)[size // 2 :].mean()
    return Stream(calibration, requests, float(max(least + BUDGET * (most - least), floor)))


def best_fixed_price(requests: Requests, budget: float) -> tuple[float, float]:
    """Mean gain and mean cost at the lowest price, known in hindsight, that keeps the whole stream in its budget."""
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _at_price(requests, middle)[1] <= budget else (middle, high)
    return _at_price(requests, high)


def cheapest_gain(requests: Requests) -> float:
    """Mean gain of the cheapest option throughout."""
    rows = np.arange(len(requests.gain))
    return float(requests.gain[rows, requests.cost.argmin(axis=1)].mean())


def _at_price(requests: Requests, price: float) -> tuple[float, float]:
    rows = np.arange(len(requests.gain))
    choice = (requests.gain - price * requests.cost).argmax(axis=1)
    return float(requests.gain[rows, choice].mean()), float(requests.paid[rows, choice].mean())


def _draw(rng: np.random.Generator, easy: float, size: int) -> Requests:
    """Votes move success away from one half; harder questions take more tokens; a bill is its forecast on average."""
    difficulty = np.where(rng.random(size) < easy, rng.normal(-1.5, 0.7, size), rng.normal(1.0, 1.0, size))
    tokens = np.exp(0.4 * difficulty + rng.normal(0, 0.6, size))
    gains, costs = [], []
    for ability, price in TARGETS:
        logit = ability + rng.normal(0, 0.5, size) - difficulty
        for votes in VOTES:
            gains.append(1 / (1 + np.exp(-logit * (1 + 0.5 * np.log(votes)))))
            costs.append(price * votes * tokens)
    cost = np.column_stack(costs)
    return Requests(np.column_stack(gains), cost, cost * rng.lognormal(-(SPREAD**2) / 2, SPREAD, cost.shape))
