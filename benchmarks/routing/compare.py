"""Ours against the field: the difference in gap captured on each table, and pooled over those with headroom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from crossfit import Array
from numpy.typing import NDArray
from scores import AUROC_DRAWS, DRAWS, SEED, Standing, gap
from tally import Tally, detectable, holm, pooled, two_sided_p

from forethought.metrics import Interval, mean_auroc, paired_bootstrap

LEAST_HEADROOM = 0.05


@dataclass(frozen=True)
class Difference:
    """Gap captured by one entrant minus another's.

    Attributes:
        interval: The difference with its 95 % interval.
        p: Two-sided, Holm-adjusted over the tables.
        detectable: The least difference that this table finds with a probability of 80 %.
    """

    interval: Interval
    p: float
    detectable: float

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or `within noise`, at the adjusted level of 5 %."""
        if self.p >= 0.05:
            return "within noise"
        return "better" if self.interval.value > 0 else "worse"


@dataclass(frozen=True)
class Comparison:
    """One entrant against another over all tables.

    Attributes:
        tables: Table -> difference.
        pooled: Sum of gains over sum of headrooms, ours minus theirs, over the tables with headroom of 5 points.
        mean: The plain mean of the same tables' differences.
        counted: Tables that are pooled: those whose whole source, not the draw, has the headroom.
    """

    tables: Mapping[str, Difference]
    pooled: Interval
    mean: Interval
    counted: Sequence[str]


def compare(standings: Mapping[str, Standing], ours: str, theirs: str, counted: Sequence[str]) -> Comparison:
    """Compare two entrants, or champions, that stand in every table; pool those that are counted."""
    tallies = {name: standing.tally for name, standing in standings.items()}
    found = {name: _difference(tally, ours, theirs) for name, tally in tallies.items()}
    adjusted = holm({name: two_sided_p(interval, tallies[name].clusters) for name, interval in found.items()})
    both = pooled({name: tallies[name] for name in counted}).intervals(
        [
            lambda totals: _pooled_gap(totals, counted, ours) - _pooled_gap(totals, counted, theirs),
            lambda totals: _mean_gap(totals, counted, ours) - _mean_gap(totals, counted, theirs),
        ],
        draws=DRAWS,
        seed=SEED,
    )
    tables = {
        name: Difference(each, adjusted[name], detectable(each, tallies[name].clusters)) for name, each in found.items()
    }
    return Comparison(tables, both[0], both[1], counted)


def late_difference(
    standings: Mapping[str, Standing], ours: str, theirs: str, counted: Sequence[str]
) -> Interval | None:
    """The pooled difference on questions that nobody looked at while our head was developed; None without any."""
    late = {name: standings[name].late for name in counted if standings[name].late.n}
    if not late:
        return None
    return pooled(late).interval(
        lambda totals: _pooled_gap(totals, list(late), ours) - _pooled_gap(totals, list(late), theirs),
        draws=DRAWS,
        seed=SEED,
    )


def auroc_differences(
    standings: Mapping[str, Standing], ours: str, theirs: str, counted: Sequence[str]
) -> dict[str, Interval]:
    """Mean AUROC over targets, ours minus theirs: of each table, and under `mean` over the tables that are counted."""
    tables = list(standings.values())
    _, count = tables[0].clusters

    def statistic(drawn: NDArray[np.int64]) -> Array:
        times = np.bincount(drawn, minlength=count)
        each = np.array([_auroc_difference(table, ours, theirs, times) for table in tables])
        return np.append(each, each[[name in counted for name in standings]].mean())

    found = paired_bootstrap(statistic, count, draws=AUROC_DRAWS, seed=SEED)
    assert isinstance(found, list)
    sizes = [len(table.view.table) for table in tables]
    pooled_size = sum(size for size, name in zip(sizes, standings, strict=True) if name in counted)
    named = zip((*standings, "mean"), found, (*sizes, pooled_size), strict=True)
    return {name: interval._replace(n=size) for name, interval, size in named}


def _auroc_difference(standing: Standing, ours: str, theirs: str, times: NDArray[np.int64]) -> float:
    cluster, _ = standing.clusters
    rows = np.repeat(np.arange(len(cluster)), times[cluster])
    Y = standing.view.table.success[rows]
    return mean_auroc(Y, standing.chosen[ours][rows]) - mean_auroc(Y, standing.chosen[theirs][rows])


def pooled_gap(standings: Mapping[str, Standing], counted: Sequence[str], name: str) -> Interval:
    """One entrant's own share of all the headroom there is."""
    tally = pooled({table: standings[table].tally for table in counted})
    return tally.interval(lambda totals: _pooled_gap(totals, counted, name), draws=DRAWS, seed=SEED)


def _difference(tally: Tally, ours: str, theirs: str) -> Interval:
    return tally.interval(lambda totals: gap(totals, ours) - gap(totals, theirs), draws=DRAWS, seed=SEED)


def _means(totals: Mapping[str, float], table: str, name: str) -> tuple[float, float]:
    """Gain and headroom a question; NaN in a draw without a question of the table."""
    n, single = totals[f"{table}/n"], totals[f"{table}/single"]
    if n == 0:
        return float("nan"), float("nan")
    return (totals[f"{table}/{name}"] - single) / n, (totals[f"{table}/oracle"] - single) / n


def _pooled_gap(totals: Mapping[str, float], tables: Sequence[str], name: str) -> float:
    parts = [_means(totals, table, name) for table in tables]
    return _ratio(sum(gain for gain, _ in parts), sum(headroom for _, headroom in parts))


def _mean_gap(totals: Mapping[str, float], tables: Sequence[str], name: str) -> float:
    return sum(_ratio(*_means(totals, table, name)) for table in tables) / len(tables)


def _ratio(gain: float, headroom: float) -> float:
    return gain / headroom if headroom > 0 else float("nan")
