"""Is what people find hard also hard for models? The E2H-AMC analysis of arXiv 2602.09924 (Table 1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forethought.errors import DataError
from forethought.metrics import Interval, paired_bootstrap, spearman

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class DifficultyComparison(NamedTuple):
    """Rank correlation of two measures of difficulty over questions.

    Attributes:
        first: `human`, `irt` or a target's name (its failure rate).
        second: Likewise.
        spearman: With its bootstrap interval; `n` counts the questions with a human rating.
    """

    first: str
    second: str
    spearman: Interval


def compare_difficulty(
    human: FloatArray,
    irt: FloatArray,
    success: FloatArray,
    targets: Sequence[str],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> list[DifficultyComparison]:
    """Correlate human ratings, IRT difficulty and each target's failure rate.

    Only questions with a human rating take part. An IRT difficulty fitted on the same targets
    shares their labels, so its correlation with them is high by construction; that with the
    human rating is not.

    Args:
        human: `(n,)` ratings, higher is harder, NaN where there is none.
        irt: `(n,)` difficulties, as from `fit_1pl`.
        success: `(n, K)` success or success rate, NaN where missing.
        targets: K names.
        draws: Bootstrap resamples of questions.
        seed: Of the resamples.

    Returns:
        `human` with `irt`, `human` with each target, then `irt` with each target.

    Raises:
        DataError: Shapes that do not match, or fewer than 3 rated questions.
    """
    measures = np.column_stack([human, irt, 1.0 - np.asarray(success, dtype=np.float64)])
    if measures.shape[1] != len(targets) + 2:
        raise DataError(f"success has {measures.shape[1] - 2} columns for {len(targets)} targets")
    measures = measures[~np.isnan(measures[:, 0])]
    if len(measures) < 3:
        raise DataError(f"a rank correlation needs at least 3 questions with a human rating, got {len(measures)}")
    names = ["human", "irt", *targets]
    pairs = [pair for pair in combinations(range(len(names)), 2) if pair[0] < 2]

    def correlations(rows: IntArray) -> FloatArray:
        return np.array([spearman(measures[rows, first], measures[rows, second]) for first, second in pairs])

    intervals = paired_bootstrap(correlations, len(measures), draws=draws, seed=seed)
    assert isinstance(intervals, list)
    return [
        DifficultyComparison(names[first], names[second], interval)
        for (first, second), interval in zip(pairs, intervals, strict=True)
    ]
