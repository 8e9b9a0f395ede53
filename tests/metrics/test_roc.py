import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from forethought.errors import DataError
from forethought.metrics import auroc, mean_auroc, within_group_auroc

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=40)


@given(rows)
def test_agrees_with_sklearn_ties_included(pairs):
    y, score = np.array(pairs, dtype=float).T
    if len(set(y)) == 2:
        assert auroc(y, score) == pytest.approx(roc_auc_score(y, score))
    else:
        assert np.isnan(auroc(y, score))


@given(rows, st.randoms())
@settings(max_examples=50)
def test_row_order_and_missing_rows_do_not_matter(pairs, random):
    y, score = np.array(pairs, dtype=float).T
    order = list(range(len(y)))
    random.shuffle(order)
    padded_y, padded_score = np.append(y[order], np.nan), np.append(score[order], 3.0)
    assert auroc(padded_y, padded_score) == pytest.approx(auroc(y, score), nan_ok=True)


def test_success_rates_equal_their_samples():
    rng = np.random.default_rng(0)
    samples = (rng.random((60, 4)) < rng.random((60, 1))).astype(float)
    score = rng.random(60)
    assert auroc(samples.mean(axis=1), score) == pytest.approx(auroc(samples.ravel(), np.repeat(score, 4)))


def test_mean_skips_one_class_targets():
    Y = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, np.nan]])
    S = np.array([[0.1, 0.5], [0.2, 0.1], [0.05, 0.2]])
    assert mean_auroc(Y, S) == pytest.approx(0.5)
    assert np.isnan(mean_auroc(np.ones((3, 2)), S))


def test_knowing_the_group_alone_is_half_within_groups():
    groups = np.repeat(["easy", "hard"], 200)
    rng = np.random.default_rng(0)
    y = (rng.random(400) < np.where(groups == "easy", 0.9, 0.1)).astype(float)
    score = (groups == "easy").astype(float)
    assert auroc(y, score) > 0.85
    assert within_group_auroc(y, score, groups) == 0.5


def test_within_groups_pools_pairs():
    y = np.array([1.0, 0, 1, 0, 0, 0])
    score = np.array([0.9, 0.1, 0.1, 0.9, 0.0, 0.0])
    # group a: 1 of 1 pairs concordant; group b: 2 of 3.
    assert within_group_auroc(y, score, np.array(list("aabbbb"))) == pytest.approx(3 / 4)


def test_bad_input():
    with pytest.raises(DataError, match="shapes differ"):
        auroc(np.ones(3), np.ones(2))
    with pytest.raises(DataError, match="NaN"):
        auroc(np.array([0.0, 1.0]), np.array([np.nan, 1.0]))
