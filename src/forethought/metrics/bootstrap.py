"""Intervals by resampling questions, whole clusters at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from forethought.errors import ConfigError
from forethought.metrics._types import AnyArray, FloatArray, IntArray, require

Statistic: TypeAlias = Callable[[IntArray], float | FloatArray]
"""Row indices, drawn with replacement, to one number or several."""

MOST_NAN_DRAWS = 0.05


class Interval(NamedTuple):
    """A number with its bootstrap interval.

    Attributes:
        value: The statistic on the data as they are.
        low: Lower end, NaN when too few draws gave a number.
        high: Upper end.
        n: Number of questions.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{_short(self.value)} [{_short(self.low)}, {_short(self.high)}] (n={self.n})"


def paired_bootstrap(
    statistic: Statistic,
    n: int,
    *,
    clusters: AnyArray | None = None,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval | list[Interval]:
    """Percentile interval of a statistic of n questions (Efron & Tibshirani 1993, ch. 13).

    Every quantity that the statistic compares is read from the same drawn rows, which makes the
    bootstrap paired, and a ratio is computed anew in every draw.

    Args:
        statistic: Called with row indices of shape (m,); m differs from n where clusters do in size.
        n: Number of questions.
        clusters: Labels of shape (n,); questions of one cluster are drawn together.
        draws: Number of resamples.
        level: Coverage.
        seed: Seed of the draws: equal seeds pair two calls as well.

    Returns:
        One interval, or a list of them if the statistic returns an array. NaN draws are dropped;
        more than 5 % of them make both ends NaN.

    Raises:
        ConfigError: `draws` < 1 or `level` outside (0, 1).
        DataError: No questions, or clusters of another length.
    """
    if draws < 1 or not 0 < level < 1:
        raise ConfigError(f"need draws >= 1 and 0 < level < 1, got draws={draws}, level={level}")
    require(n > 0, f"cannot resample n={n} questions; need at least one")
    value = np.asarray(statistic(np.arange(n)), dtype=np.float64)
    sample = np.array([statistic(rows) for rows in _resamples(n, clusters, draws, seed)], dtype=np.float64)
    if value.ndim == 0:
        return _interval(float(value), sample, level, n)
    return [_interval(float(v), column, level, n) for v, column in zip(value, sample.T, strict=True)]


def _resamples(n: int, clusters: AnyArray | None, draws: int, seed: int) -> Iterator[IntArray]:
    rng = np.random.default_rng(seed)
    if clusters is None:
        for _ in range(draws):
            yield rng.integers(n, size=n)
        return
    require(len(clusters) == n, f"{len(clusters)} cluster labels for {n} questions; need one each")
    _, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    members = np.argsort(index, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for _ in range(draws):
        drawn = rng.integers(len(sizes), size=len(sizes))
        lengths = sizes[drawn]
        ends = np.cumsum(lengths)
        yield members[np.repeat(starts[drawn] - ends + lengths, lengths) + np.arange(ends[-1])]


def _interval(value: float, sample: FloatArray, level: float, n: int) -> Interval:
    kept = sample[~np.isnan(sample)]
    if len(kept) < (1 - MOST_NAN_DRAWS) * len(sample):
        return Interval(value, float("nan"), float("nan"), n)
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), n)


def _short(value: float) -> str:
    if value != 0 and abs(value) < 1e-3:
        return f"{value:.2g}"
    sign, digits = ("-" if value < 0 else ""), f"{abs(value):.3f}"
    return sign + (digits.removeprefix("0") or digits)
