from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forethought.allocation import allocate_samples, majority_gains, pass_gains
from forethought.errors import BudgetError, ConfigError, DataError

TABLES = st.tuples(st.integers(1, 6), st.integers(1, 6))
MEANS = st.floats(0, 7)
MORE_MEANS = st.floats(1, 7)


def tables(low: float) -> st.SearchStrategy[np.ndarray]:
    return TABLES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(low, 1, width=16)))


def exact_allocation(gains: np.ndarray, mean: float, least: int) -> float:
    """Most that any allocation gains, by dynamic programming over questions and samples spent."""
    n, K = gains.shape
    sums = np.column_stack([np.zeros(n), gains.cumsum(axis=1)])
    best = np.zeros(int(n * mean + 1e-9) + 1)
    for row in sums:
        options = np.full((K + 1, len(best)), -np.inf)
        for count in range(least, min(K, len(best) - 1) + 1):
            options[count, count:] = row[count] + best[: len(best) - count]
        best = options.max(axis=0)
    return float(best.max())


def gained(gains: np.ndarray, count: np.ndarray) -> float:
    return float(gains[np.arange(gains.shape[1]) < count[:, np.newaxis]].sum())


def dearest_chunk(gains: np.ndarray) -> float:
    """More than any chunk gains: the largest sum of consecutive samples of one question."""
    runs = [gains[:, a:b].sum(axis=1).max() for a in range(gains.shape[1]) for b in range(a + 1, gains.shape[1] + 1)]
    return max(0.0, *runs)


@given(tables(-0.5), MORE_MEANS, st.integers(0, 1))
def test_falling_gains_are_spent_as_well_as_the_exact_optimum(gains, mean, least):
    falling = -np.sort(-gains, axis=1)
    count = allocate_samples(falling, mean, least=least)
    assert gained(falling, count) == pytest.approx(exact_allocation(falling, mean, least), abs=1e-9)


@given(tables(-1), MORE_MEANS, st.integers(0, 1))
def test_any_gains_are_spent_within_one_chunk_of_the_optimum(gains, mean, least):
    best = exact_allocation(gains, mean, least)
    won = gained(gains, allocate_samples(gains, mean, least=least))
    assert best - dearest_chunk(gains) - 1e-9 <= won <= best + 1e-9


@given(tables(-1), MORE_MEANS, st.integers(0, 1))
def test_budget_and_bounds_hold(gains, mean, least):
    count = allocate_samples(gains, mean, least=least)
    assert count.sum() <= int(len(gains) * mean + 1e-9)
    assert (count >= least).all()
    assert (count <= gains.shape[1]).all()


@given(tables(0.125), MEANS, st.randoms(use_true_random=False))
def test_order_of_questions_does_not_matter_to_what_is_gained(gains, mean, random):
    order = list(range(len(gains)))
    random.shuffle(order)
    falling = -np.sort(-gains, axis=1)
    here, there = allocate_samples(falling, mean), allocate_samples(falling[order], mean)
    assert gained(falling, here) == pytest.approx(gained(falling[order], there))
    assert here.sum() == there.sum()


def test_equal_questions_get_equal_samples():
    assert allocate_samples(np.full((3, 4), 0.1), 2.0).tolist() == [2, 2, 2]
    assert allocate_samples(np.full((3, 4), 0.1), 2.4).tolist() == [3, 2, 2]


def test_a_rise_is_bought_whole_or_not_at_all():
    # The first question gains nothing by a second sample alone; two of them gain more each than the other's one.
    gains = np.array([[0.0, 0.5], [0.2, 0.1]])
    assert allocate_samples(gains, 1.0).tolist() == [2, 0]
    assert allocate_samples(gains, 0.5).tolist() == [0, 1]
    assert allocate_samples(gains, 1.5).tolist() == [2, 1]


def test_what_follows_a_chunk_too_large_is_not_bought():
    # .25 a sample for two, then .2: with one sample left the .2 cannot be had alone.
    gains = np.array([[0.0, 0.5, 0.2], [0.3, 0.15, 0.0]])
    assert allocate_samples(gains, 1.0).tolist() == [0, 2]


def test_samples_that_hurt_are_not_bought():
    gains = majority_gains(np.array([0.3, 0.6]), np.array([0.6, 0.3]), 9)
    assert allocate_samples(gains, 9.0, least=1).tolist() == [1, 9]
    assert allocate_samples(pass_gains(np.zeros(2), 3), 3.0).tolist() == [0, 0]


def test_a_mean_is_not_rounded_down_by_its_last_bit():
    assert 100 * 0.29 < 29
    assert allocate_samples(np.full((100, 2), 0.1), 0.29).sum() == 29
    assert allocate_samples(np.full((2, 3), 0.1), np.inf).tolist() == [3, 3]


@given(arrays(np.float64, 3, elements=st.floats(0, 1)), st.integers(1, 40))
def test_pass_gains_sum_to_one_minus_all_wrong(success, K):
    assert pass_gains(success, K).sum(axis=1) == pytest.approx(1 - (1 - success) ** K)


def majority_by_enumeration(success: float, rival: float, b: int) -> float:
    """Every sequence of b answers of the three kinds, its leader the first of the most frequent."""
    p = {"right": success, "rival": rival, "other": 1 - success - rival}
    total = 0.0
    for kinds in product(p, repeat=b):
        answers = [f"other {place}" if kind == "other" else kind for place, kind in enumerate(kinds)]
        if Counter(answers).most_common(1)[0][0] == "right":
            total += np.prod([p[kind] for kind in kinds])
    return total


@pytest.mark.parametrize(("success", "rival"), [(0.5, 0.3), (0.2, 0.7), (0.4, 0.0), (0.6, 0.4), (0.0, 0.5), (1.0, 0.0)])
def test_majority_gains_are_those_of_every_sequence(success, rival):
    found = majority_gains(np.array([success]), np.array([rival]), 7)[0].cumsum()
    assert found == pytest.approx([majority_by_enumeration(success, rival, b) for b in range(1, 8)], abs=1e-12)


def test_majority_gains_stay_exact_with_many_samples():
    gains = majority_gains(np.array([0.6, 0.01, 1.0]), np.array([0.4, 0.0, 0.0]), 200)
    assert np.isfinite(gains).all()
    # Of two kinds, a second sample never changes who wins.
    assert gains[0, 1::2] == pytest.approx(0, abs=1e-10)
    assert gains.sum(axis=1) == pytest.approx([0.9979, 0.5971, 1], abs=2e-3)


@pytest.mark.parametrize(
    ("gains", "mean", "least", "error"),
    [
        (np.ones(3), 1, 0, DataError),
        (np.ones((0, 3)), 1, 0, DataError),
        (np.array([[np.nan]]), 1, 0, DataError),
        (np.ones((2, 3)), 5, 4, ConfigError),
        (np.ones((2, 3)), 5, -1, ConfigError),
        (np.ones((2, 3)), 0.5, 1, BudgetError),
        (np.ones((2, 3)), np.nan, 0, BudgetError),
        (np.ones((2, 3)), -1, 0, BudgetError),
    ],
)
def test_what_cannot_be_spent_is_refused(gains, mean, least, error):
    with pytest.raises(error):
        allocate_samples(gains, mean, least=least)


def test_what_is_no_probability_is_refused():
    with pytest.raises(DataError, match=r"<= 1, got 1\.2"):
        majority_gains(np.array([0.6]), np.array([0.6]), 3)
    with pytest.raises(DataError, match="one shape"):
        majority_gains(np.array([0.6]), np.array([0.1, 0.2]), 3)
    with pytest.raises(DataError, match="NaN"):
        pass_gains(np.array([np.nan]), 3)
    with pytest.raises(ConfigError, match="K must be >= 1, got 0"):
        pass_gains(np.array([0.5]), 0)
