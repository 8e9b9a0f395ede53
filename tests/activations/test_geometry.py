from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.activations import anisotropy, effective_dimension
from forethought.errors import FeatureError

SCALINGS = ("raw", "centred", "standardised")


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("m", [1, 3, 8])
def test_m_equal_eigenvalues_give_m(m):
    signs = np.array(list(np.ndindex(*(2,) * m))) * 2.0 - 1  # exactly uncorrelated columns
    X = np.hstack([signs, np.zeros((len(signs), 4))])
    X = np.vstack([X, X])
    for scaling in SCALINGS:
        assert effective_dimension(X, scaling=scaling, corrected=False) == pytest.approx(m)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_correction_removes_the_bias_of_few_rows(scaling):
    truth, n = 50, 60
    found = [effective_dimension(normal(n, truth, seed), scaling=scaling) for seed in range(200)]
    naive = [effective_dimension(normal(n, truth, seed), scaling=scaling, corrected=False) for seed in range(200)]
    assert np.mean(found) == pytest.approx(truth, rel=0.06)
    assert 1 / np.mean(naive) == pytest.approx(1 / truth + 1 / n, rel=0.06)


def brute_force(X):
    """U-statistics over all orderings of four distinct rows."""
    first = second = 0
    for i, j, k, m in permutations(range(len(X)), 4):
        a, b = X[i] - X[j], X[k] - X[m]
        first += (a @ a) * (b @ b)
        second += (a @ b) ** 2
    return first / second


@pytest.mark.parametrize("shape", [(7, 3), (5, 9)])
def test_corrected_covariance_ratio_is_the_u_statistic(shape):
    X = np.random.default_rng(5).exponential(size=shape)
    assert effective_dimension(X) == pytest.approx(brute_force(X))


def test_corrected_raw_ratio_is_the_u_statistic():
    X = normal(9, 4) + 0.3
    pairs = list(permutations(range(9), 2))
    first = sum((X[i] @ X[i]) * (X[j] @ X[j]) for i, j in pairs)
    second = sum((X[i] @ X[j]) ** 2 for i, j in pairs)
    assert effective_dimension(X, scaling="raw") == pytest.approx(first / second)


def test_a_large_mean_hides_the_dimension_only_when_raw():
    X = normal(300, 20) + 100
    assert effective_dimension(X, scaling="raw") == pytest.approx(1, abs=0.01)
    assert effective_dimension(X) == pytest.approx(20, rel=0.1)


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.booleans())
def test_dimension_does_not_change_with_scale_shift_rotation_or_order(seed, scale, corrected):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 6)) * np.arange(1, 7)
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    expected = effective_dimension(X, corrected=corrected)
    for other in (scale * X, X + rng.normal(size=6), X @ rotation, X[rng.permutation(30)]):
        assert effective_dimension(other, corrected=corrected) == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 1000), st.integers(2, 12), st.integers(1, 8), st.floats(-2, 2))
def test_anisotropy_equals_the_mean_over_pairs(seed, n, d, shift):
    X = normal(n, d, seed) + shift
    cosine = [X[i] @ X[j] / (np.linalg.norm(X[i]) * np.linalg.norm(X[j])) for i, j in permutations(range(n), 2)]
    assert anisotropy(X) == pytest.approx(np.mean(cosine), abs=1e-10)
    assert anisotropy(X * np.linspace(1, 9, n)[:, None]) == pytest.approx(np.mean(cosine), abs=1e-10)


def test_anisotropy_of_a_cone_and_of_a_ball():
    assert anisotropy(normal(300, 20) + 50) > 0.99
    assert abs(anisotropy(normal(300, 20))) < 0.01
    assert abs(anisotropy(normal(300, 20) + 50, scaling="centred")) < 0.01


def test_rows_that_do_not_vary():
    X = np.full((10, 3), 0.1)
    assert np.isnan(effective_dimension(X))
    assert anisotropy(X) == pytest.approx(1)
    with pytest.raises(FeatureError, match="no direction"):
        anisotropy(X, scaling="centred")


def test_bad_input():
    with pytest.raises(FeatureError, match="n >= 4"):
        effective_dimension(normal(3, 2))
    with pytest.raises(FeatureError, match="'whitened'"):
        effective_dimension(normal(9, 2), scaling="whitened")
    with pytest.raises(FeatureError, match="infinite"):
        anisotropy([[1.0, np.inf], [1.0, 2.0]])
