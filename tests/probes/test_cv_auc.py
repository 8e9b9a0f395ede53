from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from forethought.probes.cv_auc import cross_validated_auc, principal_axes


def problem(n=300, d=20, K=2, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d))).astype(np.float32) + 50
    truth = (X - 50) @ rng.normal(size=(d, K)) / d
    return X, (truth + rng.normal(size=(n, K)) > 0).astype(float), np.arange(n) % 5


def by_definition(model, X, y, folds):
    parts = []
    for fold in range(5):
        train, test = folds != fold, folds == fold
        parts.append(roc_auc_score(y[test], score(model.fit(X[train], y[train]), X[test])))
    return np.mean(parts)


def score(model, X):
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


@pytest.mark.parametrize(("size", "C"), [(3, 1.0), (10, 1.0), (20, 1e-3)])
def test_equals_ridge_on_standardised_pca_scores(size, C):
    X, Y, folds = problem()
    auc = cross_validated_auc(X, Y, folds, (2, size), (C, 7.0))[1, 0]
    model = make_pipeline(StandardScaler(), PCA(size), Ridge(alpha=4 / C))
    np.testing.assert_allclose(auc, [by_definition(model, X, Y[:, k], folds) for k in range(2)], atol=1e-3)


def test_is_close_to_the_logistic_regression_it_stands_for():
    X, Y, folds = problem(n=600)
    auc = cross_validated_auc(X, Y, folds, (10,), (1.0,))[0, 0]
    model = make_pipeline(StandardScaler(), PCA(10), LogisticRegression(C=1.0))
    np.testing.assert_allclose(auc, [by_definition(model, X, Y[:, k], folds) for k in range(2)], atol=0.01)


def test_wide_and_tall_decompositions_agree():
    X, _, _ = problem(n=30, d=20)
    tall, wide = principal_axes(X, 8), principal_axes(np.hstack([X, X]), 8)
    np.testing.assert_allclose(wide.energy, 2 * tall.energy, rtol=1e-3)
    assert wide.axes.shape == (40, 8)
    np.testing.assert_allclose(np.abs(wide.scores(np.hstack([X, X]))), np.sqrt(2) * np.abs(tall.scores(X)), atol=0.02)


def test_missing_labels_do_not_count():
    X, Y, folds = problem(n=800)
    gone = np.random.default_rng(1).random(800) < 0.3
    holes, wrong = Y.copy(), Y.copy()
    holes[gone, 0], wrong[gone, 0] = np.nan, 0.0
    auc = cross_validated_auc(X, holes, folds, (10,), (1.0,))[0, 0]
    only = cross_validated_auc(X[~gone], Y[~gone, :1], folds[~gone], (10,), (1.0,))[0, 0, 0]
    counted = cross_validated_auc(X, wrong, folds, (10,), (1.0,))[0, 0, 0]
    assert auc[0] == pytest.approx(only, abs=0.04)
    assert counted < min(auc[0], only) - 0.05
    assert auc[1] == cross_validated_auc(X, Y, folds, (10,), (1.0,))[0, 0, 1]


def test_one_class_targets_and_folds():
    X, Y, folds = problem()
    Y[:, 0] = 1.0
    Y[folds == 0, 1] = 0.0
    auc = cross_validated_auc(X, Y, folds, (5,), (1.0,))[0, 0]
    assert np.isnan(auc[0])
    assert 0.5 < auc[1] < 1


def test_noise_scores_one_half_and_constant_features_are_harmless():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(1000, 5)), np.full((1000, 2), 3.3)])
    auc = cross_validated_auc(X, (rng.random((1000, 4)) < 0.5).astype(float), np.arange(1000) % 5, (50,), (1.0,))
    assert abs(auc.mean() - 0.5) < 0.03
