from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import expit
from scipy.stats import spearmanr

from forethought.errors import ConfigError, DataError
from forethought.outcomes.irt import ItemResponse, Priors, fit_1pl, fit_2pl

FITS = [fit_1pl, fit_2pl]


def simulate(seed: int, n: int, k: int, trials: int, spread: float = 0.0) -> tuple[np.ndarray, ItemResponse]:
    rng = np.random.default_rng(seed)
    truth = ItemResponse(rng.normal(size=k), rng.normal(0, 1.5, n), np.exp(rng.normal(0, spread, n)), 0.0)
    return rng.binomial(trials, truth.probability()) / trials, truth


def test_1pl_recovers_simulated_parameters() -> None:
    success, truth = simulate(0, n=400, k=25, trials=20)

    fit = fit_1pl(success, np.full(success.shape, 20.0))

    assert np.abs(fit.ability - truth.ability).mean() < 0.1
    assert np.abs(fit.difficulty - truth.difficulty).mean() < 0.15
    assert np.abs(fit.probability() - truth.probability()).mean() < 0.02


def test_2pl_recovers_discrimination_and_beats_1pl_where_it_varies() -> None:
    success, truth = simulate(1, n=400, k=25, trials=20, spread=0.5)
    trials = np.full(success.shape, 20.0)

    one, two = fit_1pl(success, trials), fit_2pl(success, trials)

    assert spearmanr(two.discrimination, truth.discrimination).statistic > 0.85
    assert spearmanr(two.difficulty, truth.difficulty).statistic > 0.97
    error_one, error_two = (np.abs(fit.probability() - truth.probability()).mean() for fit in (one, two))
    assert error_two < 0.75 * error_one


def test_2pl_does_no_harm_where_discrimination_is_constant() -> None:
    success, truth = simulate(2, n=300, k=20, trials=10)
    trials = np.full(success.shape, 10.0)

    assert np.abs(fit_2pl(success, trials).probability() - truth.probability()).mean() < 0.04


@pytest.mark.parametrize("fit", FITS)
def test_always_right_and_never_right_stay_finite_and_ordered(fit: object) -> None:
    success = np.array([[1.0, 1, 1], [1, 1, 0], [0, 1, 0], [0, 0, 0]])
    success[:, 1], success[:, 2] = 1.0, 0.0

    model = fit(success)  # type: ignore[operator]

    assert np.isfinite(model.ability).all()
    assert np.isfinite(model.difficulty).all()
    assert model.ability[1] > model.ability[0] > model.ability[2]
    assert (np.diff(model.difficulty) >= -1e-6).all()
    assert (model.discrimination > 0).all()


@pytest.mark.parametrize("fit", FITS)
def test_missing_cells_are_masked(fit: object) -> None:
    success, _ = simulate(3, n=40, k=6, trials=1)
    success[5] = np.nan
    success[np.random.default_rng(0).random(success.shape) < 0.2] = np.nan
    without = np.delete(success, 5, axis=0)

    model, smaller = fit(success), fit(without)  # type: ignore[operator]

    assert model.difficulty[5] == pytest.approx(0.0, abs=1e-4)
    np.testing.assert_allclose(np.delete(model.difficulty, 5), smaller.difficulty, atol=1e-3)
    np.testing.assert_allclose(model.ability, smaller.ability, atol=1e-3)


def test_rates_over_more_trials_shrink_less_to_the_prior() -> None:
    success, _ = simulate(4, n=60, k=8, trials=4)

    sharp, vague = fit_1pl(success, np.full(success.shape, 100.0)), fit_1pl(success, np.full(success.shape, 0.01))

    assert np.abs(sharp.difficulty).mean() > 10 * np.abs(vague.difficulty).mean()


@given(st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_order_of_questions_and_targets_does_not_matter(seed: int) -> None:
    success, _ = simulate(seed, n=15, k=4, trials=1)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(15), rng.permutation(4)

    straight, shuffled = fit_1pl(success), fit_1pl(success[np.ix_(rows, columns)])

    np.testing.assert_allclose(straight.difficulty[rows], shuffled.difficulty, atol=1e-4)
    np.testing.assert_allclose(straight.ability[columns], shuffled.ability, atol=1e-4)


@pytest.mark.parametrize("fit", FITS)
def test_the_solution_is_a_stationary_point_of_the_stated_posterior(fit: object) -> None:
    success, _ = simulate(5, n=12, k=5, trials=3)
    trials, priors = np.full(success.shape, 3.0), Priors(ability=0.8, difficulty=1.5, log_discrimination=0.4)
    model = fit(success, trials, priors)  # type: ignore[operator]
    free_slope = fit is fit_2pl

    def log_posterior(x: np.ndarray) -> float:
        ability, difficulty, log_slope = x[:5], x[5:17], x[17:] if free_slope else np.zeros(12)
        p = expit(np.exp(log_slope)[:, None] * (ability - difficulty[:, None]))
        likelihood = np.sum(3 * (success * np.log(p) + (1 - success) * np.log1p(-p)))
        prior = (ability**2).sum() / 0.8**2 + (difficulty**2).sum() / 1.5**2 + (log_slope**2).sum() / 0.4**2
        return float(likelihood - prior / 2)

    best = np.concatenate([model.ability, model.difficulty] + ([np.log(model.discrimination)] if free_slope else []))

    assert model.log_posterior == pytest.approx(log_posterior(best))
    np.testing.assert_allclose(approx_fprime(best, log_posterior, 1e-6), 0.0, atol=5e-3)


@pytest.mark.parametrize(
    ("success", "trials", "message"),
    [
        ([1.0, 0.0], None, "shape"),
        ([[2.0]], None, r"lie in \[0, 1\]"),
        ([[np.inf]], None, r"lie in \[0, 1\]"),
        ([[np.nan]], None, "at least one"),
        ([[1.0]], [[-1.0]], "trials"),
        ([[1.0]], [[1.0, 2.0]], "trials must have the shape"),
    ],
)
def test_unusable_matrices_are_named(success: object, trials: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_1pl(np.array(success), None if trials is None else np.array(trials))


def test_priors_must_have_spread() -> None:
    with pytest.raises(ConfigError, match="> 0"):
        Priors(difficulty=0.0)
