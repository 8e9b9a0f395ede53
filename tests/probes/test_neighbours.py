from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from forethought.errors import ConfigError
from forethought.probes.neighbours import NearestNeighbours


def clusters(n=200, seed=0):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, n)
    X = np.eye(4)[kind] * 5 + rng.normal(size=(n, 4)) * 0.3
    rates = np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.8], [0.2, 0.3]])
    return X, (rng.random((n, 2)) < rates[kind]).astype(float), rates[kind]


def test_finds_the_rate_of_the_neighbourhood():
    X, Y, rates = clusters(n=1200)
    p = NearestNeighbours().fit(X[:1000], Y[:1000]).predict_proba(X[1000:])
    assert np.abs(p - rates[1000:]).mean() < 0.06


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_equals_the_definition(seed, k):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(30, 4)), (rng.random((30, 2)) < 0.5).astype(float)
    Y[rng.random((30, 2)) < 0.2] = np.nan
    Y[0] = 1.0
    query = rng.normal(size=4)
    model = NearestNeighbours(ks=(k,)).fit(X, Y)
    centred, q = X - X.mean(0), query - X.mean(0)
    cosine = centred @ q / np.linalg.norm(centred, axis=1) / np.linalg.norm(q)
    near = Y[np.argsort(-cosine)[:k]]
    expected = (np.nansum(near, axis=0) + np.nanmean(Y, axis=0)) / ((~np.isnan(near)).sum(axis=0) + 1)
    np.testing.assert_allclose(model.predict_proba(query[None])[0], expected)


def test_k_is_tuned_and_groups_are_not_their_own_neighbours():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(60, 8)), 3, axis=0) + 1e-3 * rng.normal(size=(180, 8))
    Y = np.repeat((rng.random((60, 1)) < 0.5).astype(float), 3, axis=0)
    Y = np.hstack([Y, Y])
    groups = np.repeat(np.arange(60), 3)
    assert NearestNeighbours(ks=(2, 100)).fit(X, Y).k_ == 2
    honest = NearestNeighbours(ks=(2, 100)).fit(X, Y, groups=groups)
    assert honest.k_ == 100
    assert honest.loss_[0] > 0.65


def test_more_neighbours_than_rows_are_all_of_them():
    X, Y, _ = clusters(n=20)
    np.testing.assert_allclose(
        NearestNeighbours(ks=(500,)).fit(X, Y).predict_proba(X), np.tile(Y.mean(0), (20, 1)), atol=1e-12
    )


def test_batches_change_nothing():
    X, Y, _ = clusters(n=600)
    model = NearestNeighbours(ks=(20,)).fit(X, Y)
    whole = model.predict_proba(X)
    np.testing.assert_allclose(np.vstack([model.predict_proba(row[None]) for row in X[:30]]), whole[:30])


def test_bad_candidates_are_refused():
    X, Y, _ = clusters(n=20)
    with pytest.raises(ConfigError, match="ks"):
        NearestNeighbours(ks=(0, 5)).fit(X, Y)


@parametrize_with_checks([NearestNeighbours(ks=(3, 5))])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
