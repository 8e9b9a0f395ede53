"""Item response theory: one ability a target, one difficulty a question, from an outcomes matrix.

Rasch 1960 (1PL) and Birnbaum 1968 (2PL), fitted by maximum a posteriori. The priors keep targets
and questions that were always or never right finite, fix origin and scale, and are stated in `Priors`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from forethought.errors import ConfigError, DataError

FloatArray = NDArray[np.float64]
_ITERATIONS = 2000


@dataclass(frozen=True, slots=True)
class Priors:
    """Standard deviations of the normal priors, all centred at 0.

    Attributes:
        ability: Of a target's ability, in logits.
        difficulty: Of a question's difficulty, in logits.
        log_discrimination: Of the logarithm of a question's discrimination (2PL).
    """

    ability: float = 1.0
    difficulty: float = 2.0
    log_discrimination: float = 0.5

    def __post_init__(self) -> None:
        if not min(self.ability, self.difficulty, self.log_discrimination) > 0:
            raise ConfigError(f"standard deviations of priors must be > 0, got {self}")


@dataclass(frozen=True, slots=True, eq=False)
class ItemResponse:
    """A fitted model `P(success) = sigmoid(discrimination * (ability - difficulty))`.

    Attributes:
        ability: `(K,)`, logits.
        difficulty: `(n,)`, logits; a question without any outcome has the prior's mean 0.
        discrimination: `(n,)`, positive; all 1 under 1PL.
        log_posterior: At the optimum, up to a constant.
    """

    ability: FloatArray
    difficulty: FloatArray
    discrimination: FloatArray
    log_posterior: float

    def probability(self) -> FloatArray:
        """P(success) of every target on every question, `(n, K)`."""
        logits = self.discrimination[:, None] * (self.ability - self.difficulty[:, None])
        return np.asarray(expit(logits), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Binomial data: right answers and trials, both 0 where missing."""

    right: FloatArray
    trials: FloatArray

    def log_likelihood(self, logits: FloatArray) -> tuple[float, FloatArray]:
        """Value, and gradient with respect to the logits."""
        value = np.sum(self.right * logits - self.trials * np.logaddexp(0.0, logits))
        return float(value), self.right - self.trials * expit(logits)


def fit_1pl(success: FloatArray, trials: FloatArray | None = None, priors: Priors | None = None) -> ItemResponse:
    """Fit the Rasch model; the posterior is concave, so its maximum is the only one.

    Args:
        success: `(n, K)` in [0, 1], NaN where missing.
        trials: `(n, K)` Bernoulli trials behind each cell; 1 by default.
        priors: Of ability and difficulty.

    Raises:
        DataError: A shape that is not `(n, K)`, a value outside [0, 1], or no outcome at all.
    """
    counts, priors = _counts(success, trials), priors or Priors()
    n, k = counts.trials.shape

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        ability, difficulty = np.split(parameters, [k])
        value, slope = counts.log_likelihood(ability - difficulty[:, None])
        gradient = np.concatenate([slope.sum(axis=0), -slope.sum(axis=1)])
        return _penalised(value, gradient, parameters, scale)

    scale = np.repeat([priors.ability, priors.difficulty], [k, n])
    best, value = _minimise(loss, np.zeros(k + n))
    return ItemResponse(best[:k], best[k:], np.ones(n), -value)


def fit_2pl(success: FloatArray, trials: FloatArray | None = None, priors: Priors | None = None) -> ItemResponse:
    """Fit the two-parameter model from the Rasch solution by L-BFGS.

    Args:
        success: `(n, K)` in [0, 1], NaN where missing.
        trials: `(n, K)` Bernoulli trials behind each cell; 1 by default.
        priors: Of ability, difficulty and log discrimination.

    Raises:
        DataError: As `fit_1pl`.
    """
    counts, priors = _counts(success, trials), priors or Priors()
    n, k = counts.trials.shape

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        ability, difficulty, log_slope = np.split(parameters, [k, k + n])
        distance, steepness = ability - difficulty[:, None], np.exp(log_slope)[:, None]
        value, slope = counts.log_likelihood(steepness * distance)
        weighted = slope * steepness
        gradient = np.concatenate([weighted.sum(axis=0), -weighted.sum(axis=1), (weighted * distance).sum(axis=1)])
        return _penalised(value, gradient, parameters, scale)

    scale = np.repeat([priors.ability, priors.difficulty, priors.log_discrimination], [k, n, n])
    start = fit_1pl(success, trials, priors)
    best, value = _minimise(loss, np.concatenate([start.ability, start.difficulty, np.zeros(n)]))
    return ItemResponse(best[:k], best[k : k + n], np.exp(best[k + n :]), -value)


def _counts(success: FloatArray, trials: FloatArray | None) -> _Counts:
    success = np.asarray(success, dtype=np.float64)
    if success.ndim != 2:
        raise DataError(f"success must have shape (questions, targets), got {success.shape}")
    trials = np.ones_like(success) if trials is None else np.asarray(trials, dtype=np.float64)
    if trials.shape != success.shape:
        raise DataError(f"trials must have the shape {success.shape} of success, got {trials.shape}")
    seen = ~np.isnan(success)
    if not (((success >= 0) & (success <= 1)) | ~seen).all() or not (np.isfinite(trials) & (trials >= 0)).all():
        raise DataError("success must lie in [0, 1] or be NaN, and trials be finite and >= 0")
    trials = np.where(seen, trials, 0.0)
    if not trials.any():
        raise DataError(f"none of the {success.size} cells holds an outcome; item response needs at least one")
    return _Counts(np.where(seen, success, 0.0) * trials, trials)


def _penalised(
    value: float, gradient: FloatArray, parameters: FloatArray, scale: FloatArray
) -> tuple[float, FloatArray]:
    """Negative log posterior and its gradient under normal priors."""
    return -value + float(np.sum((parameters / scale) ** 2)) / 2, parameters / scale**2 - gradient


def _minimise(loss: Callable[[FloatArray], tuple[float, FloatArray]], start: FloatArray) -> tuple[FloatArray, float]:
    options = {"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "ftol": 1e-12, "gtol": 1e-6}
    result = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(result.x, dtype=np.float64), float(result.fun)
