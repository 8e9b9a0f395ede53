from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from forethought.errors import DataError
from forethought.outcomes.difficulty import compare_difficulty
from forethought.outcomes.irt import fit_1pl


def simulate(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Human ratings that follow the first target's difficulty, and a second target that finds all alike."""
    rng = np.random.default_rng(0)
    hard = rng.normal(size=n)
    rates = np.column_stack([1 / (1 + np.exp(2 * hard)), np.full(n, 0.5)])
    return hard + rng.normal(0, 0.3, n), rng.binomial(20, rates) / 20


def test_the_table_orders_pairs_and_matches_scipy() -> None:
    human, success = simulate()
    irt = fit_1pl(success, np.full(success.shape, 20.0)).difficulty

    table = compare_difficulty(human, irt, success, ["like people", "indifferent"], draws=200)

    pairs = [(row.first, row.second) for row in table]
    assert pairs == [
        ("human", "irt"),
        ("human", "like people"),
        ("human", "indifferent"),
        ("irt", "like people"),
        ("irt", "indifferent"),
    ]
    assert table[0].spearman.value == pytest.approx(spearmanr(human, irt).statistic)
    assert table[1].spearman.value == pytest.approx(spearmanr(human, 1 - success[:, 0]).statistic)
    assert table[1].spearman.low > 0.7
    assert table[2].spearman.low < 0 < table[2].spearman.high
    assert all(row.spearman.n == 300 for row in table)


def test_only_rated_questions_take_part_and_missing_labels_are_masked() -> None:
    human, success = simulate()
    human[:100], success[100:150, 0] = np.nan, np.nan
    irt = np.arange(300.0)

    row = compare_difficulty(human, irt, success, ["a", "b"], draws=50)[1]

    assert row.spearman.n == 200
    assert row.spearman.value == pytest.approx(spearmanr(human[150:], 1 - success[150:, 0]).statistic)


def test_a_constant_target_has_no_correlation() -> None:
    human, success = simulate()
    success[:, 1] = 1.0

    row = compare_difficulty(human, human, success, ["a", "b"], draws=50)[2]

    assert np.isnan(row.spearman.value)


def test_shapes_and_too_few_ratings_are_named() -> None:
    human, success = simulate()

    with pytest.raises(DataError, match="2 columns for 1 targets"):
        compare_difficulty(human, human, success, ["a"])
    with pytest.raises(DataError, match="at least 3 questions"):
        compare_difficulty(np.full(300, np.nan), human, success, ["a", "b"])
