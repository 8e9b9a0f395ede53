"""How many answers to draw for each question under a mean budget (Damani et al. 2024, arXiv 2410.04707)."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, lgamma

import numpy as np

from forethought.allocation.base import SLACK
from forethought.errors import BudgetError, ConfigError, DataError
from forethought.metrics import FloatArray, IntArray

ROUNDING = 1e-9
"""A mean of 0.29 over 100 questions is 29 samples, not the 28 that the product's last bit would leave."""

ROWS = 1024
"""Questions whose votes are counted at once, which bounds the memory."""


def allocate_samples(gains: FloatArray, mean_samples: float, *, least: int = 0) -> IntArray:
    """Spend a budget of samples where they gain most (2410.04707, section 3).

    Samples are bought by falling gain, breadth first among equals. Where a question's gains rise, as they do for votes,
    which need a second more to overturn a first, they are replaced by the slopes of the upper concave envelope of their
    sum; the samples under one slope are a chunk, bought whole. Samples that gain nothing are not bought.

    The sum of gains is the best possible where gains never rise, and otherwise short of it by less than the gain of one
    chunk, the first that did not fit.

    Example:
        >>> allocate_samples(pass_gains(np.array([0.9, 0.3, 0.0]), 8), 2.0, least=1).tolist()
        [1, 4, 1]

    Args:
        gains: `gains[i, b]` is the expected success of question i with b + 1 samples minus that with b, (n, K).
        mean_samples: Budget, samples a question.
        least: Samples that every question gets, 0 to K.

    Returns:
        Samples of each question, (n,), `least` to K; their sum is at most floor(n * mean_samples).

    Raises:
        DataError: `gains` is not a table of finite numbers.
        ConfigError: `least` outside 0 to K.
        BudgetError: `mean_samples` below `least`, or NaN.
    """
    if gains.ndim != 2 or not gains.size or not np.isfinite(gains).all():
        raise DataError(f"gains must be finite, of shape (n, K), n and K >= 1, got shape {gains.shape}")
    n, K = gains.shape
    if not 0 <= least <= K:
        raise ConfigError(f"least must lie in 0..{K}, the samples that gains tell of, got {least}")
    if not mean_samples >= least:
        raise BudgetError(f"mean_samples must be >= least={least}, got {mean_samples}")
    count = np.full(n, least, dtype=np.int64)
    left = n * K if mean_samples >= K else floor(n * mean_samples + ROUNDING) - n * least
    closed = np.zeros(n, dtype=np.bool_)
    for row, length in _by_falling_gain(gains[:, least:]):
        # What follows a chunk needs the chunk.
        closed[row] |= length > left
        if not closed[row]:
            count[row] += length
            left -= length
        if left <= 0:
            break
    return count


def pass_gains(success: FloatArray, K: int) -> FloatArray:
    """Gains of pass@b, at least one of b independent answers right: success * (1 - success)^(b - 1), (n, K).

    Args:
        success: P(an answer is right), (n,).
        K: Most samples a question.

    Raises:
        DataError: `success` outside [0, 1] or NaN.
        ConfigError: K < 1.
    """
    _check(K, success)
    gains: FloatArray = success[:, np.newaxis] * (1 - success[:, np.newaxis]) ** np.arange(K)
    return gains


def majority_gains(success: FloatArray, rival: FloatArray, K: int) -> FloatArray:
    """Gains of maj@b, the most frequent of b independent answers right, of equals the one that came first; exact.

    Answers are of three kinds: right, the most common wrong one, and others of which no two agree. With
    `rival = 1 - success` there are only two.

    Args:
        success: P(an answer is right), (n,).
        rival: P(an answer is the most common wrong one), (n,).
        K: Most samples a question.

    Returns:
        maj@b minus maj@(b - 1) for b = 1..K, (n, K); negative where the rival is likelier.

    Raises:
        DataError: Shapes differ, a probability outside [0, 1] or NaN, or two that sum to more than 1.
        ConfigError: K < 1.
    """
    _check(K, success, rival)
    other = 1 - success - rival
    if other.min(initial=0) < -SLACK:
        raise DataError(f"success + rival must be <= 1, got {1 - other.min():g}")
    # Above 0, so that a count of 0 makes no NaN; to any power it is as good as none.
    log_p = np.log(np.maximum(np.column_stack([success, rival, other]), np.finfo(np.float64).tiny))
    right = np.zeros((len(success), K + 1))
    for b in range(1, K + 1):
        ballots, log_orders, wins = _ballots(b)
        for start in range(0, len(success), ROWS):
            rows = slice(start, start + ROWS)
            right[rows, b] = np.exp(log_p[rows] @ ballots.T + log_orders) @ wins
    return np.diff(right, axis=1)


def _by_falling_gain(gains: FloatArray) -> Iterator[tuple[int, int]]:
    """Row and length of each chunk that gains anything, best slope first."""
    row, start, length, slope = _chunks(gains)
    for index in np.lexsort((row, start, -slope)):
        if slope[index] <= SLACK:
            return
        yield int(row[index]), int(length[index])


def _chunks(gains: FloatArray) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Row, first sample, length and mean gain of the chunks of every row."""
    n, K = gains.shape
    row, start = np.divmod(np.arange(n * K), max(K, 1))
    length, slope = np.ones(n * K, dtype=np.int64), gains.ravel().astype(np.float64)
    for rising in np.flatnonzero((np.diff(gains, axis=1) > 0).any(axis=1)):
        cells = slice(rising * K, (rising + 1) * K)
        length[cells], slope[cells] = _envelope(gains[rising])
    kept = length > 0
    return row[kept], start[kept], length[kept], slope[kept]


def _envelope(gains: FloatArray) -> tuple[IntArray, FloatArray]:
    """Lengths and slopes of the upper concave envelope of the gains' sum, each at its first sample, else length 0.

    Pooling adjacent violators finds it from the gains themselves, so that equal gains stay apart.
    """
    blocks: list[tuple[int, int, float]] = []
    for place, gain in enumerate(gains.tolist()):
        block = (place, 1, gain)
        while blocks and block[2] / block[1] > blocks[-1][2] / blocks[-1][1]:
            first, length, total = blocks.pop()
            block = (first, length + block[1], total + block[2])
        blocks.append(block)
    lengths, slopes = np.zeros(len(gains), dtype=np.int64), np.zeros(len(gains))
    for first, length, total in blocks:
        lengths[first], slopes[first] = length, total / length
    return lengths, slopes


def _ballots(b: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Counts (right, rival, others) of b answers with which right can win, (T, 3), log of their orders, P(it wins)."""
    counts = [(a, c, b - a - c) for a in range(1, b + 1) for c in range(min(a, b - a) + 1)]
    log_orders = [lgamma(b + 1) - sum(lgamma(count + 1) for count in kinds) for kinds in counts]
    return np.array(counts, dtype=np.float64), np.array(log_orders), np.array([_wins(*kinds) for kinds in counts])


def _wins(right: int, rival: int, others: int) -> float:
    """Which of the tied came first is equally likely to be any of them."""
    tied = 1 + (rival == right) + (others if right == 1 else 0)
    return 1 / tied


def _check(K: int, *probabilities: FloatArray) -> None:
    if K < 1:
        raise ConfigError(f"K must be >= 1, got {K}")
    shapes = [values.shape for values in probabilities]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1:
        raise DataError(f"probabilities must share one shape (n,), got {shapes}")
    if not all(((values >= 0) & (values <= 1)).all() for values in probabilities):
        raise DataError("probabilities must lie in [0, 1] and not be NaN")
