from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.activations import fisher_separability, within_group_fisher
from forethought.errors import ConfigError, DataError, FeatureError

KINDS = ("unweighted", "trace_ratio")


def two_classes(seed=0, n=200, d=10, shift=1.0, share=0.4):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(float)
    X = rng.normal(size=(n, d))
    X[:, 0] += shift * y
    return X, y


def test_worked_by_hand():
    X = np.array([[0.0], [2.0], [5.0], [9.0]])
    y = [0, 0, 1, 1]
    # Means 1 and 7, variances 1 and 4 over n, 2 and 8 over n - 1.
    raw = fisher_separability(X, y, bias_corrected=False)
    assert raw[:1] + raw[3:] == (36 / 5, 2, 2)
    assert pytest.approx(0.25 * 36 / 2.5) == fisher_separability(X, y, bias_corrected=False, kind="trace_ratio").J
    assert pytest.approx((36 - 2 / 2 - 8 / 2) / 10) == fisher_separability(X, y).J
    assert pytest.approx(0.25 * 31 / 5) == fisher_separability(X, y, kind="trace_ratio").J


@pytest.mark.parametrize("kind", KINDS)
def test_corrected_j_is_unbiased_under_the_null_and_raw_is_not(kind):
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(400):
        X, y = rng.normal(size=(60, 30)), (rng.random(60) < 0.3).astype(float)
        draws.append([fisher_separability(X, y, kind=kind, bias_corrected=c).J for c in (True, False)])
    mean, error = np.mean(draws, axis=0), np.std(draws, axis=0) / 20
    assert abs(mean[0]) < 4 * error[0]
    assert mean[1] > 20 * error[1]


def test_corrected_numerator_hits_the_true_distance():
    truth, found = 0.5**2 / (2 * 40), []
    rng = np.random.default_rng(1)
    for _ in range(400):
        X = rng.normal(size=(80, 40))
        y = np.arange(80) % 4 == 0
        X[y, 0] += 0.5
        found.append(fisher_separability(X, y).J)
    assert abs(np.mean(found) - truth) < 4 * np.std(found) / 20


def test_permutation_null():
    X, y = two_classes(shift=1.5)
    found = fisher_separability(X, y, permutations=200)
    assert found.null_p == pytest.approx(1 / 201)
    assert abs(found.null_mean) < 0.01
    assert fisher_separability(X, y, permutations=200) == found
    p = [fisher_separability(*two_classes(seed, shift=0), permutations=99).null_p for seed in range(200)]
    assert 0.42 < np.mean(p) < 0.58
    assert np.mean(np.array(p) <= 0.1) < 0.18
    assert np.isnan(fisher_separability(X, y)[1:3]).all()


def test_j_picks_the_layer_that_holds_the_truth():
    rng = np.random.default_rng(3)
    y = (rng.random(300) < 0.3).astype(float)
    layers = [rng.normal(size=(300, 50)) * scale for scale in (0.1, 1, 10, 100, 1000)]
    layers[3] += 100 * np.outer(y, rng.normal(size=50)) * 0.5
    for kind in KINDS:
        assert np.argmax([fisher_separability(X, y, kind=kind, pca=20).J for X in layers]) == 3


def test_missing_labels_are_left_out_and_rates_are_cut_at_a_half():
    X, y = two_classes()
    y[::3] = np.nan
    kept = ~np.isnan(y)
    assert fisher_separability(X, y) == pytest.approx(fisher_separability(X[kept], y[kept]), nan_ok=True)
    rates = np.where(y == 1, 0.6, np.where(y == 0, 0.5, np.nan))
    assert fisher_separability(X, rates).J == fisher_separability(X, y).J


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.sampled_from(KINDS))
def test_scale_shift_rotation_and_order_change_nothing(seed, scale, kind):
    rng = np.random.default_rng(seed)
    X, y = two_classes(seed, n=40, d=5)
    expected = fisher_separability(X, y, kind=kind).J
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    order = rng.permutation(40)
    for other in (scale * X, X + rng.normal(size=5), X @ rotation):
        assert pytest.approx(expected, abs=1e-9) == fisher_separability(other, y, kind=kind).J
    assert pytest.approx(expected) == fisher_separability(X[order], y[order], kind=kind).J
    assert pytest.approx(expected) == fisher_separability(X, 1 - y, kind=kind).J


def test_principal_components_ignore_the_features_own_scales():
    X, y = two_classes()
    scales = 10.0 ** np.arange(-5, 5)
    assert pytest.approx(fisher_separability(X, y, pca=10).J) == fisher_separability(X * scales, y, pca=10).J


def test_within_groups_the_kind_of_question_counts_for_nothing():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 4, 400)
    y = (rng.random(400) < np.array([0.1, 0.3, 0.7, 0.9])[groups]).astype(float)
    X = rng.normal(size=(400, 5)) + 3 * groups[:, None]
    plain = fisher_separability(X, y, permutations=100)
    within = within_group_fisher(X, y, groups, permutations=100)
    assert plain.null_p < 0.02
    assert plain.J > 0.3
    assert abs(within.J) < 0.02
    assert within.null_p > 0.05


def test_within_one_group_is_the_plain_criterion():
    X, y = two_classes()
    for kind in KINDS:
        one = within_group_fisher(X, y, ["a"] * 200, kind=kind, permutations=20)
        assert one == fisher_separability(X, y, kind=kind, permutations=20)


def test_groups_are_permuted_apart_from_one_another():
    """Groups whose rows stand in one order, such as the same countries twice, are no single group."""
    X, y = two_classes(shift=0.0)
    once = within_group_fisher(X, y, ["a"] * 200, permutations=20)
    twice = within_group_fisher(np.vstack([X, X]), np.tile(y, 2), ["a"] * 200 + ["b"] * 200, permutations=20)
    assert pytest.approx(once.J) == twice.J
    assert twice.null_mean != pytest.approx(once.null_mean)


def test_groups_that_say_nothing_are_left_out():
    X, y = two_classes()
    more = np.vstack([X, X[:20] + 100])
    right = np.concatenate([y, np.ones(20)])
    groups = ["a"] * 200 + ["b"] * 20
    assert within_group_fisher(more, right, groups)[:1] == pytest.approx(fisher_separability(X, y)[:1])
    assert within_group_fisher(more, right, groups).n1 == int(y.sum())


def test_rows_without_spread_have_no_separability():
    assert np.isnan(fisher_separability(np.ones((10, 3)), [0, 1] * 5, pca=2).J)


@pytest.mark.parametrize("y", [np.zeros(10), np.ones(10), [1] + [0] * 9, [np.nan] * 10])
def test_one_class(y):
    with pytest.raises(DataError, match="two rows of either class"):
        fisher_separability(np.random.default_rng(0).normal(size=(10, 2)), y)


def test_bad_input():
    X, y = two_classes()
    with pytest.raises(DataError, match="one a row"):
        fisher_separability(X, y[:-1])
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        fisher_separability(X, y * 2)
    with pytest.raises(ConfigError, match="'other'"):
        fisher_separability(X, y, kind="other")
    X[3, 3] = np.nan
    with pytest.raises(FeatureError, match="1 values that are NaN"):
        fisher_separability(X, y)
