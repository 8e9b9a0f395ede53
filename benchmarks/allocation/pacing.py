"""One stream followed by a pacer, beside the best fixed price in hindsight."""

from __future__ import annotations

import time
from typing import NamedTuple

from stream import REQUESTS, best_fixed_price, cheapest_gain, draw_stream

from forethought.allocation import Pacer, Pacing


class Run(NamedTuple):
    """What came of one stream.

    Attributes:
        error: Mean cost over the budget, less 1.
        gain: Total gain over that of the best fixed price.
        gain_over_cheapest: The same with the cheapest options' gain taken off both.
        fixed_error: Mean cost of the best fixed price over the budget, less 1.
        microseconds: CPU time a request, choice and charge.
    """

    error: float
    gain: float
    gain_over_cheapest: float
    fixed_error: float
    microseconds: float


def followed(seed: int, *, harder: bool, window: float | None = None, size: int = REQUESTS) -> Run:
    """Serve a stream in its order; what a request costs is known once it is served."""
    calibration, requests, budget = draw_stream(seed, harder=harder, size=size)
    extra = {} if window is None else {"window": window}
    pacer = Pacer(Pacing.calibrated(calibration.gain, calibration.cost, budget, **extra))
    tables = [table.tolist() for table in requests]
    total, start = 0.0, time.thread_time()
    for gain, cost, paid in zip(*tables, strict=True):
        option = pacer.choose(gain, cost)
        pacer.charge(paid[option])
        total += gain[option]
    spent = time.thread_time() - start
    fixed, fixed_cost = best_fixed_price(requests, budget)
    base, mean = cheapest_gain(requests), total / size
    return Run(
        pacer.mean_cost / budget - 1,
        mean / fixed,
        (mean - base) / (fixed - base),
        fixed_cost / budget - 1,
        spent / size * 1e6,
    )
