from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from forethought.errors import DataError
from forethought.probes import LogisticProbe, RidgeProbe


def _problem(n: int = 400, d: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) * rng.uniform(0.01, 100, d) + 50
    return X, (rng.random(n) < expit(2 * (X[:, 0] - 50) / X[:, 0].std())).astype(float)


def test_logistic_probe_chooses_inside_the_path_and_ranks_new_rows() -> None:
    X, y = _problem()
    probe = LogisticProbe().fit(X[:300], y[:300])
    assert not probe.edge_
    assert probe.Cs[int(np.nanargmax(probe.auroc_))] == probe.C_
    assert roc_auc_score(y[300:], probe.decision_function(X[300:])) > 0.8


def test_scale_of_a_feature_does_not_matter() -> None:
    X, y = _problem()
    scale = np.geomspace(1e-3, 1e3, X.shape[1])
    one, other = LogisticProbe().fit(X, y), LogisticProbe().fit(X * scale, y)
    np.testing.assert_allclose(other.predict_proba(X * scale), one.predict_proba(X), atol=1e-6)


def test_rates_with_trials_count_as_rows_of_successes_and_failures() -> None:
    X, y = _problem(200, 4)
    rng = np.random.default_rng(1)
    trials = rng.integers(1, 5, size=200)
    rate = rng.binomial(trials, 0.2 + 0.6 * y) / trials
    probe = LogisticProbe(Cs=(0.3,)).fit(X, rate, trials)
    by_hand = LogisticProbe(Cs=(0.3,)).fit(
        np.vstack([X, X]), np.r_[np.ones(200), np.zeros(200)], np.r_[trials * rate, trials * (1 - rate)] + 1e-12
    )
    np.testing.assert_allclose(probe.predict_proba(X), by_hand.predict_proba(X), atol=0.01)
    assert probe.predict_proba(X).shape == (200, 2)
    rate[:3] = np.nan
    assert np.isfinite(LogisticProbe().fit(X, rate, trials).coef_).all()


def test_edge_is_told() -> None:
    X, y = _problem()
    assert LogisticProbe(Cs=(1e-9, 1e-8)).fit(X, y).edge_
    assert RidgeProbe(alphas=(1e7, 1e8)).fit(X, y).edge_
    assert not RidgeProbe().fit(X, y).edge_


@pytest.mark.parametrize("make", [LogisticProbe, RidgeProbe])
def test_serving_form_agrees(make: type) -> None:
    X, y = _problem()
    probe = make().fit(X, y)
    expected = probe.predict_proba(X)[:, 1] if make is LogisticProbe else np.clip(probe.predict(X), 0, 1)
    np.testing.assert_allclose(probe.scorer().predict_proba([X])[:, 0], expected, atol=1e-5)


def test_bad_input_says_what_is_wrong() -> None:
    X, y = _problem()
    with pytest.raises(DataError, match="only one class"):
        LogisticProbe().fit(X, np.ones(400))
    with pytest.raises(DataError, match="infinity or NaN"):
        LogisticProbe().fit(X, np.where(y > 0, np.nan, y))
    with pytest.raises(ValueError, match="NaN"):
        LogisticProbe().fit(np.where(X > 60, np.nan, X), y)
