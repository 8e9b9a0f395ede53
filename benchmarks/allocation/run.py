"""What choosing under a budget costs, how near a paced stream comes to its budget, and what recorded answers gain."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from batches import serving_tables, training_programme, training_responses
from budgets import recorded_figures
from pacing import Run, followed
from stream import REQUESTS

from forethought.allocation import Programme, solve_knapsack, solve_milp, solve_share_cap
from forethought.bench import Figure, Options, script

SEED = 5
REPORTING = range(5, 10)
"""Seeds that report the stream; windows were tried on 0 to 4 (`tune.py`)."""

SHARES = (0.25, 0.5, 0.75)


def measure(options: Options) -> dict[str, Figure]:
    drawn = {**batch_figures(options.quick), **million_figures(options.quick), **stream_figures(options.quick)}
    return {**drawn, **recorded_figures(options)}


def batch_figures(quick: bool) -> dict[str, Figure]:
    """CPU milliseconds from margins to responses of a batch, both solvers in turn, and how far their gains differ."""
    rounds, repeats = (2, 2) if quick else (9, 20)
    batches = [training_responses(seed) for seed in REPORTING]
    greedy, integer, apart = np.empty((rounds, len(SHARES))), np.empty((rounds, len(SHARES))), 0.0
    solve_milp(training_programme(*batches[0], 0.5))  # the first call imports
    for r in range(rounds):
        right, voted = batches[r % len(batches)]
        for s, share in enumerate(SHARES):
            greedy[r, s] = cpu_ms(lambda: solve_share_cap(training_programme(right, voted, share)), repeats)  # noqa: B023
            integer[r, s] = cpu_ms(lambda: solve_milp(training_programme(right, voted, share)), 1)  # noqa: B023
            programme = training_programme(right, voted, share)
            found, best = solve_share_cap(programme), solve_milp(programme)
            apart = max(apart, abs(found.gain - best.gain), abs(found.served - best.served))
    return {
        "greedy_ms_512x8": over_rounds(greedy).at_most(5),
        "milp_ms_512x8": over_rounds(integer),
        "milp_over_greedy": over_rounds(integer / greedy),
        "greedy_milp_difference": Figure(apart, n=rounds * len(SHARES)).at_most(1e-9),
    }


def million_figures(quick: bool) -> dict[str, Figure]:
    """CPU seconds of a knapsack with its programme, what it allocates beyond the tables, and its gap."""
    n, rounds = (20_000, 1) if quick else (1_000_000, 3)
    gain, cost, budget = serving_tables(SEED, n)
    seconds = [cpu_ms(lambda: solve_knapsack(Programme.of_costs(gain, cost, budget)), 1) / 1e3 for _ in range(rounds)]
    tracemalloc.start()
    found = solve_knapsack(Programme.of_costs(gain, cost, budget))
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return {
        "million_seconds": Figure(float(np.median(seconds)), min(seconds), max(seconds), rounds).at_most(5),
        "million_extra_mib": Figure(peak, n=1),
        "million_tables_mib": Figure((gain.nbytes + cost.nbytes) / 2**20, n=1),
        "million_gap": Figure(found.gap, n=n),
    }


def stream_figures(quick: bool) -> dict[str, Figure]:
    """The worst of the reporting seeds and of both directions; the interval is the least and the largest."""
    size = 5_000 if quick else REQUESTS
    runs = [followed(seed, harder=harder, size=size) for seed in REPORTING for harder in (True, False)]
    return {
        "tracking_error": over_runs(runs, lambda run: abs(run.error), max).at_most(0.01),
        "tracking_gain": over_runs(runs, lambda run: run.gain, min).at_least(0.95),
        "tracking_gain_over_cheapest": over_runs(runs, lambda run: run.gain_over_cheapest, min),
        "pacer_us": over_runs(runs, lambda run: run.microseconds, lambda values: float(np.median(values))),
    }


def over_rounds(values: np.ndarray) -> Figure:
    """Median of all, with the least and the largest round's median."""
    medians = np.median(values, axis=1)
    return Figure(float(np.median(values)), float(medians.min()), float(medians.max()), values.size)


def over_runs(runs: list[Run], read: Callable[[Run], float], worst: Callable[[list[float]], float]) -> Figure:
    """The worst run, with the least and the largest."""
    values = [read(run) for run in runs]
    return Figure(float(worst(values)), min(values), max(values), len(values))


def cpu_ms(job: Callable[[], object], repeats: int) -> float:
    """Milliseconds of CPU of one call, the mean of some; HiGHS may start threads, so those of the process."""
    start = time.process_time()
    for _ in range(repeats):
        job()
    return (time.process_time() - start) / repeats * 1e3


if __name__ == "__main__":
    sys.exit(script("allocation", measure, seed=SEED))
