"""Sums by cluster: what a bootstrap over clusters of several tables at once needs, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from crossfit import Array
from numpy.typing import NDArray
from scipy.stats import t

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

    @property
    def clusters(self) -> int:
        """Clusters with a question."""
        return int((self.sums[:, self.names.index("n")] > 0).sum())

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
        return [_widened(interval, len(sums))._replace(n=self.n) for interval in found]


def pooled(tallies: Mapping[str, Tally]) -> Tally:
    """Tables side by side, columns named `table/column`; a cluster of several tables is drawn for all at once."""
    names = [f"{table}/{name}" for table, tally in tallies.items() for name in tally.names]
    sums = np.hstack([tally.sums for tally in tallies.values()])
    return Tally(tuple(names), sums, sum(tally.n for tally in tallies.values()))


def _counts(name: str) -> bool:
    """Whether a column counts questions."""
    return name.rpartition("/")[2] == "n"


def _widened(interval: Interval, clusters: int) -> Interval:
    """A percentile interval corrected for few clusters: seven groups need it, 4,000 questions do not.

    The bootstrap's variance lacks (G - 1) / G, and its quantiles are normal where Student's with G - 1 are due
    (Cameron, Gelbach & Miller 2008).
    """
    factor = student(clusters) / NormalDist().inv_cdf(1 - LEVEL / 2) * (clusters / (clusters - 1)) ** 0.5
    value, low, high = interval[:3]
    return interval._replace(low=value - factor * (value - low), high=value + factor * (high - value))


def student(clusters: int) -> float:
    """The 97.5 % quantile of Student's t with one degree of freedom less than clusters."""
    return float(t.ppf(1 - LEVEL / 2, clusters - 1))


def standard_error(interval: Interval, clusters: int) -> float:
    """Half-width over the quantile it was made with."""
    return (interval.high - interval.low) / (2 * student(clusters))


def detectable(interval: Interval, clusters: int) -> float:
    """Least true difference that a test at 5 % finds with a probability of 80 %, at this standard error."""
    return (student(clusters) + float(t.ppf(POWER, clusters - 1))) * standard_error(interval, clusters)


def two_sided_p(interval: Interval, clusters: int) -> float:
    """Against no difference, by Student's t with the bootstrap's standard error."""
    error = standard_error(interval, clusters)
    if error == 0:
        return 1.0 if interval.value == 0 else 0.0
    return float(2 * t.sf(abs(interval.value) / error, clusters - 1))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjustment (1979)."""
    adjusted, floor = {}, 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        floor = max(floor, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = floor
    return {name: adjusted[name] for name in p}
