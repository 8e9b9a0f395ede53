"""Sums by cluster: what a bootstrap over clusters of several tables at once needs, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from crossfit import Array
from numpy.typing import NDArray

from forethought.metrics import Interval, paired_bootstrap

POWER, LEVEL = 0.8, 0.05


@dataclass(frozen=True)
class Tally:
    """Columns of numbers a question, summed within clusters.

    Attributes:
        names: Of the columns.
        sums: (clusters, columns).
        n: Questions behind it.
    """

    names: tuple[str, ...]
    sums: Array
    n: int

    @classmethod
    def of(cls, columns: Mapping[str, Array], clusters: NDArray[np.int64], count: int) -> Tally:
        """Sum columns (n,) within clusters (n,) numbered below `count`; a column `n` counts questions."""
        whole = {"n": np.ones(len(clusters)), **columns}
        sums = np.stack([np.bincount(clusters, values, minlength=count) for values in whole.values()], axis=1)
        return cls(tuple(whole), sums, len(clusters))

    def interval(self, figure: Callable[[Mapping[str, float]], float], *, draws: int, seed: int) -> Interval:
        """A figure of the columns' totals, with its interval over clusters; equal seeds draw the same clusters."""
        (found,) = self.intervals([figure], draws=draws, seed=seed)
        return found

    def intervals(
        self, figures: Sequence[Callable[[Mapping[str, float]], float]], *, draws: int, seed: int
    ) -> list[Interval]:
        """Several figures on the same draws; clusters without a question here are not drawn."""
        sums = self.sums[self.sums[:, [i for i, name in enumerate(self.names) if _counts(name)]].sum(axis=1) > 0]

        def statistic(drawn: NDArray[np.int64]) -> Array:
            totals = np.bincount(drawn, minlength=len(sums)) @ sums
            named = dict(zip(self.names, totals.tolist(), strict=True))
            return np.array([figure(named) for figure in figures])

        found = paired_bootstrap(statistic, len(sums), draws=draws, seed=seed)
        assert isinstance(found, list)
        return [interval._replace(n=self.n) for interval in found]


def pooled(tallies: Mapping[str, Tally]) -> Tally:
    """Tables side by side, columns named `table/column`; a cluster of several tables is drawn for all at once."""
    names = [f"{table}/{name}" for table, tally in tallies.items() for name in tally.names]
    sums = np.hstack([tally.sums for tally in tallies.values()])
    return Tally(tuple(names), sums, sum(tally.n for tally in tallies.values()))


def _counts(name: str) -> bool:
    """Whether a column counts questions."""
    return name.rpartition("/")[2] == "n"


def standard_error(interval: Interval) -> float:
    """Half-width over 1.96."""
    return (interval.high - interval.low) / (2 * NormalDist().inv_cdf(1 - LEVEL / 2))


def detectable(interval: Interval) -> float:
    """Least true difference that a test at 5 % finds with a probability of 80 %, at this standard error."""
    z = NormalDist().inv_cdf
    return (z(1 - LEVEL / 2) + z(POWER)) * standard_error(interval)


def two_sided_p(interval: Interval) -> float:
    """Against no difference, by the normal approximation with the bootstrap's standard error."""
    error = standard_error(interval)
    if error == 0:
        return 1.0 if interval.value == 0 else 0.0
    return 2 * NormalDist().cdf(-abs(interval.value) / error)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjustment (1979)."""
    adjusted, floor = {}, 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        floor = max(floor, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = floor
    return {name: adjusted[name] for name in p}
