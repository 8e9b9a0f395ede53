from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from forethought.errors import ConfigError
from forethought.probes.ridge_path import RidgePath, check_penalties


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(30, 8), (20, 45)]), st.floats(0.01, 100))
def test_primal_and_dual_agree_with_scikit_learn(seed: int, shape: tuple[int, int], alpha: float) -> None:
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=shape) * rng.uniform(0.1, 9, shape[1]) + 5, rng.normal(size=(shape[0], 2))
    w = rng.uniform(0.5, 2, shape[0])
    path, rows = RidgePath(X), np.arange(shape[0] - 4)
    reference = Ridge(alpha=alpha * path.unit).fit(path.Z[rows], Y[rows], sample_weight=w[rows] / w[rows].mean())
    weights = np.column_stack([w, 3 * w])[rows]
    test = np.arange(shape[0] - 4, shape[0])
    expected = reference.predict(path.Z[test])
    np.testing.assert_allclose(path.predict(rows, test, Y[rows], weights, np.array([alpha]))[0], expected, atol=1e-6)
    affine = path.fit(rows, Y[rows], weights, alpha)
    np.testing.assert_allclose(X[test] @ affine.coef + affine.intercept, expected, atol=1e-6)


def test_sparse_and_dense_give_the_same_scores_when_columns_are_not_scaled() -> None:
    rng = np.random.default_rng(1)
    X = rng.poisson(0.3, size=(40, 60)).astype(float)
    Y, rows = rng.normal(size=(40, 3)), np.arange(30)
    path = RidgePath(csr_matrix(X))
    scores = path.predict(rows, np.arange(30, 40), Y[:30], np.ones((30, 3)), np.array([0.5]))[0]
    expected = Ridge(alpha=0.5 * path.unit).fit(X[:30], Y[:30]).predict(X[30:])
    np.testing.assert_allclose(scores, expected, atol=1e-8)


def test_a_row_without_weight_has_no_influence_on_that_column_only() -> None:
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(25, 4)), rng.normal(size=(25, 2))
    path, rows, alphas = RidgePath(X), np.arange(20), np.array([1.0])
    weights = np.ones((20, 2))
    weights[7, 1] = 0
    before = path.predict(rows, np.arange(20, 25), Y[:20], weights, alphas)[0]
    Y[7] += 10
    after = path.predict(rows, np.arange(20, 25), Y[:20], weights, alphas)[0]
    np.testing.assert_array_equal(after[:, 1], before[:, 1])
    assert np.abs(after[:, 0] - before[:, 0]).min() > 1e-3


def test_a_constant_feature_and_an_unlabelled_column_do_no_harm() -> None:
    X = np.column_stack([np.full(10, 7.0), np.arange(10.0)])
    weights = np.column_stack([np.ones(10), np.zeros(10)])
    affine = RidgePath(X).fit(np.arange(10), np.column_stack([np.arange(10.0)] * 2), weights, 1e-6)
    np.testing.assert_allclose(X @ affine.coef + affine.intercept, np.outer(np.arange(10), [1, 0]), atol=1e-3)


@pytest.mark.parametrize("values", [(), (1.0, 0.0), (-1.0,)])
def test_penalties_must_be_positive(values: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="positive"):
        check_penalties(values)
