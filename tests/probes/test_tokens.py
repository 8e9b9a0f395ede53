from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from forethought.errors import ArtifactError, DataError, FeatureError
from forethought.probes.base import scorer_from_state
from forethought.probes.token_scorer import TokenScorer
from forethought.probes.tokens import TokenHead


def problem(n=600, d=12, K=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 7 + 3
    logs = 3 + (X[:, :K] - 3) / 7 * 0.6 + 0.5 * rng.normal(size=(n, K))
    return X, np.expm1(np.maximum(logs, 0))


def test_equals_leave_one_out_ridge_of_scikit_learn():
    X, T = problem(n=60, d=80)
    head = TokenHead().fit(X, T)
    Z = StandardScaler().fit_transform(X)
    for k in range(3):
        ridge = RidgeCV(alphas=head.alphas).fit(Z, np.log1p(T[:, k]))
        assert ridge.alpha_ == pytest.approx(head.alpha_[k])
        scorer = head.scorer_
        np.testing.assert_allclose(X @ scorer.coef[:, k] + scorer.intercept[k], ridge.predict(Z), atol=1e-6)


def test_smearing_is_the_mean_exponential_of_held_out_residuals():
    X, T = problem(n=40, d=5, K=1)
    head = TokenHead(alphas=[10.0]).fit(X, T)
    Z = StandardScaler().fit_transform(X)
    residuals = []
    for i in range(40):
        rest = np.arange(40) != i
        # The intercept carries no penalty, so centring on the rest is what leaving one out means.
        centred = Z[rest] - Z[rest].mean(0)
        y = np.log1p(T[rest, 0])
        w = np.linalg.solve(centred.T @ centred + 10 * np.eye(5), centred.T @ (y - y.mean()))
        residuals.append(np.log1p(T[i, 0]) - y.mean() - (Z[i] - Z[rest].mean(0)) @ w)
    assert head.scorer_.smearing[0] == pytest.approx(np.exp(residuals).mean())


def test_smearing_makes_costs_unbiased_where_the_exponential_alone_is_not():
    X, T = problem(n=4000)
    head = TokenHead().fit(X[:2000], T[:2000])
    expected, seen = head.predict(X[2000:]).mean(0), T[2000:].mean(0)
    np.testing.assert_allclose(expected, seen, rtol=0.06)
    naive = np.expm1(X[2000:] @ head.scorer_.coef + head.scorer_.intercept).mean(0)
    assert (naive < 0.93 * seen).all()


def test_missing_lengths_are_left_out_of_their_target_alone():
    X, T = problem()
    holes = T.copy()
    holes[::2, 1] = np.nan
    head = TokenHead().fit(X, holes)
    np.testing.assert_allclose(head.predict(X)[:, [0, 2]], TokenHead().fit(X, T).predict(X)[:, [0, 2]])
    half = TokenHead().fit(X[1::2], T[1::2])
    np.testing.assert_allclose(head.predict(X)[:, 1], half.predict(X)[:, 1])


def test_targets_with_few_or_equal_lengths_get_their_mean():
    X, T = problem(n=100)
    T[10:, 0] = np.nan
    T[:, 1] = 32.0
    head = TokenHead().fit(X, T)
    assert head.fallback_.tolist() == [0, 1]
    assert np.isnan(head.alpha_).tolist() == [True, True, False]
    np.testing.assert_allclose(head.predict(X)[:, 0], np.nanmean(T[:, 0]))
    np.testing.assert_allclose(head.predict(X)[:, 1], 32.0)


def test_predictions_stay_within_what_was_seen():
    X, T = problem()
    far = TokenHead().fit(X, T).predict(X * 1e6)
    assert (far >= T.min(0)).all()
    assert (far <= T.max(0)).all()


def test_state_rebuilds_the_scorer():
    X, T = problem()
    scorer = TokenHead().fit(X, T).scorer()
    meta, arrays = scorer.state()
    np.testing.assert_array_equal(scorer_from_state(meta, arrays).predict_proba([X]), scorer.predict_proba([X]))
    np.testing.assert_array_equal(scorer.predict_proba([X[:, :5], X[:, 5:]]), scorer.predict_proba([X]))
    with pytest.raises(ArtifactError, match="smearing"):
        TokenScorer.from_state(meta, {name: array for name, array in arrays.items() if name != "smearing"})


def test_bad_input_is_refused():
    X, T = problem(n=50)
    with pytest.raises(DataError, match=">= 0"):
        TokenHead().fit(X, -T - 1)
    with pytest.raises(DataError, match=r"columns \[1\]"):
        TokenHead().fit(X, np.where(np.arange(3) == 1, np.nan, T))
    with pytest.raises(DataError, match="shape"):
        TokenHead().fit(X, T[:-1])
    scorer = TokenHead().fit(X, T).scorer_
    with pytest.raises(FeatureError, match="12"):
        scorer.predict_proba([X[:, 1:]])
    with pytest.raises(FeatureError, match="NaN"):
        scorer.predict_proba([X * np.nan])


@parametrize_with_checks([TokenHead()])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
