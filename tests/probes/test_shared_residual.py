from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from forethought.errors import ConfigError, DataError
from forethought.probes import SharedResidualRidge
from forethought.probes.shared_residual import decompose


def _problem(n: int = 300, d: int = 20, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 3 + 1
    shared = 3 * X[:, [0]]
    own = np.column_stack([X[:, 1], -X[:, 1], X[:, 2]])
    return X, (rng.random((n, 3)) < 1 / (1 + np.exp(-(shared + own) / 3))).astype(float)


def test_one_penalty_for_both_parts_is_plain_ridge() -> None:
    X, Y = _problem()
    model = SharedResidualRidge(alphas_shared=(2.0,), alphas_residual=(2.0,)).fit(X, Y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    reference = Ridge(alpha=2.0 * X.shape[1]).fit(Z, Y).predict(Z)
    np.testing.assert_allclose(model.predict(X), reference, atol=1e-8)


def test_an_endless_residual_penalty_leaves_only_shared_difficulty_and_base_rates() -> None:
    X, Y = _problem()
    scores = SharedResidualRidge(alphas_residual=(1e9,)).fit(X, Y).predict(X)
    differences = scores - scores[:, [0]]
    np.testing.assert_allclose(differences, np.broadcast_to(Y.mean(0) - Y.mean(0)[0], differences.shape), atol=1e-6)
    assert scores[:, 0].std() > 0.2


def test_decomposition_adds_up_and_residuals_of_a_row_sum_to_nothing() -> None:
    _, Y = _problem(50)
    labels, weights = decompose(Y, np.ones_like(Y))
    np.testing.assert_allclose(labels[:, :1] + labels[:, 1:], Y, atol=1e-12)
    np.testing.assert_allclose((labels[:, 1:] - Y.mean(axis=0)).sum(axis=1), 0, atol=1e-12)
    np.testing.assert_array_equal(weights[:, 0], 3)


def test_missing_labels_are_masked_not_wrong() -> None:
    X, Y = _problem(600)
    holes = Y.copy()
    holes[np.random.default_rng(1).random(Y.shape) < 0.4] = np.nan
    full, masked = SharedResidualRidge().fit(X, Y), SharedResidualRidge().fit(X, holes)
    assert np.abs(masked.predict(X).mean(axis=0) - Y.mean(axis=0)).max() < 0.07
    assert np.corrcoef(full.predict(X).ravel(), masked.predict(X).ravel())[0, 1] > 0.95


def test_row_order_changes_nothing() -> None:
    X, Y = _problem()
    folds, order = np.arange(300) % 5, np.random.default_rng(3).permutation(300)
    one = SharedResidualRidge().fit(X, Y, folds=folds)
    other = SharedResidualRidge().fit(X[order], Y[order], folds=folds[order])
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-9)


def test_one_class_target_is_named_and_served_by_its_rate() -> None:
    X, Y = _problem()
    Y[:, 1] = 1.0
    model = SharedResidualRidge().fit(X, Y)
    assert model.one_class_ == [1]
    np.testing.assert_array_equal(model.predict(X)[:, 1], 1.0)


def test_edge_names_the_part_whose_path_is_too_short() -> None:
    X, Y = _problem()
    assert SharedResidualRidge(alphas_residual=(1e3, 1e6)).fit(X, Y).edge_ == ("residual",)
    assert SharedResidualRidge().fit(X, Y).edge_ == ()


def test_serving_form_and_sparse_input_agree() -> None:
    X, Y = _problem()
    model = SharedResidualRidge().fit(X, Y)
    served = model.scorer().predict_proba([X.astype(np.float32)])
    np.testing.assert_allclose(served, np.clip(model.predict(X), 0, 1), atol=1e-5)
    assert SharedResidualRidge().fit(csr_matrix(np.abs(X)), Y).predict(csr_matrix(X)).shape == (300, 3)


def test_bad_input_says_what_is_wrong() -> None:
    X, Y = _problem(30)
    with pytest.raises(DataError, match=r"columns \[2\]"):
        SharedResidualRidge().fit(X, np.column_stack([Y[:, :2], np.full(30, np.nan)]))
    with pytest.raises(ConfigError, match="positive"):
        SharedResidualRidge(alphas_shared=(0.0,)).fit(X, Y)
    with pytest.raises(DataError, match="folds must have shape"):
        SharedResidualRidge().fit(X, Y, folds=[0, 1])
    with pytest.raises(DataError, match="at least one trial"):
        SharedResidualRidge().fit(X, Y, trials=np.zeros_like(Y))
