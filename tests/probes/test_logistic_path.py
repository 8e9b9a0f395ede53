from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from forethought.probes.logistic_path import logistic_path


@pytest.mark.parametrize("shape", [(120, 6), (60, 90)])
def test_path_agrees_with_scikit_learn_target_by_target(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=shape)
    Y = (rng.random((shape[0], 3)) < expit(Z[:, :3] * 2 + [-2, 0, 1])).astype(float)
    Cs = np.array([0.01, 0.3, 3.0])
    for C, (coef, intercept) in zip(Cs, logistic_path(Z, Y, np.ones_like(Y), Cs, 1e-8), strict=True):
        for k in range(3):
            reference = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(Z, Y[:, k])
            np.testing.assert_allclose(coef[:, k], reference.coef_[0], atol=1e-4)
            np.testing.assert_allclose(intercept[k], reference.intercept_[0], atol=1e-4)


def test_a_rate_with_trials_counts_as_that_many_rows() -> None:
    rng = np.random.default_rng(1)
    Z, trials = rng.normal(size=(30, 3)), rng.integers(1, 6, size=30)
    right = rng.binomial(trials, expit(Z[:, 0]))
    rows = np.repeat(np.arange(30), trials)
    single = np.concatenate([np.r_[np.ones(r), np.zeros(t - r)] for r, t in zip(right, trials, strict=True)])
    C = np.array([0.5])
    rates = next(logistic_path(Z, (right / trials)[:, None], trials[:, None].astype(float), C, 1e-9))
    expanded = next(logistic_path(Z[rows], single[:, None], np.ones((len(rows), 1)), C, 1e-9))
    np.testing.assert_allclose(rates[0], expanded[0], atol=1e-6)
    np.testing.assert_allclose(rates[1], expanded[1], atol=1e-6)


def test_missing_labels_are_left_out_whatever_stands_there() -> None:
    rng = np.random.default_rng(2)
    Z, Y = rng.normal(size=(50, 4)), (rng.random((50, 2)) < 0.5).astype(float)
    weights = np.ones_like(Y)
    weights[:10, 1] = 0
    coef, _ = next(logistic_path(Z, Y, weights, np.array([1.0]), 1e-9))
    alone, _ = next(logistic_path(Z[10:], Y[10:, 1:], weights[10:, 1:], np.array([1.0]), 1e-9))
    np.testing.assert_allclose(coef[:, 1], alone[:, 0], atol=1e-6)


def test_one_class_gives_the_smoothed_base_rate_and_no_slope() -> None:
    Z = np.random.default_rng(3).normal(size=(9, 2))
    coef, intercept = next(logistic_path(Z, np.ones((9, 1)), np.ones((9, 1)), np.array([10.0])))
    np.testing.assert_allclose(coef, 0, atol=1e-12)
    np.testing.assert_allclose(expit(intercept), 9.5 / 10)
