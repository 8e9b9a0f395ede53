"""Learn what answers to expect: one prior for all questions, and one that the probe sets for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forethought.errors import DataError
from forethought.metrics import FloatArray, IntArray
from forethought.voting.answer_prior import AnswerPrior, Component, component_grid, observed_likelihoods
from forethought.voting.samples import Samples

DIVERSITIES = (1.0, 4.0, 16.0, 64.0)
LEAST_WEIGHT = 2e-3
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0)
STEPS = 500


def fit_prior(samples: Samples) -> AnswerPrior:
    """The mixture under which recorded answers are most likely (EM over a fixed grid of components).

    With fixed components the likelihood is concave in the weights, so the result depends on no
    start; most weights come out as nothing and are dropped. The diversity of other answers is the
    likeliest of four.

    Args:
        samples: Recorded answers with at least one grade each.

    Raises:
        DataError: No questions.
    """
    if not len(samples.question_ids):
        raise DataError("cannot fit a prior to no questions; at least one with graded answers is needed")
    fits = [_weigh(component_grid(diversity), samples) for diversity in DIVERSITIES]
    prior, _ = max(fits, key=lambda fit: fit[1])
    return prior


def _weigh(components: tuple[Component, ...], samples: Samples) -> tuple[AnswerPrior, float]:
    given = observed_likelihoods(components, *samples.vote_counts())
    weights = np.full(len(components), 1 / len(components))
    for _ in range(STEPS):
        joint = weights * given
        weights = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
    kept = np.flatnonzero(weights >= LEAST_WEIGHT)
    shares = weights[kept] / weights[kept].sum()
    prior = AnswerPrior(tuple(components[k] for k in kept), tuple(shares.tolist()))
    return prior, float(np.log(given @ weights).sum())


@dataclass(frozen=True, eq=False)
class GatedPrior:
    """The population's prior, its weights moved by what the probe forecasts of a question.

    Attributes:
        population: The prior of a question that nothing is forecast of.
        gate: Log-odds a feature and component, shape (F, J).
        centre: Of the forecasts' logits, shape (2,).
        scale: Of the same, shape (2,).
    """

    population: AnswerPrior
    gate: FloatArray
    centre: FloatArray
    scale: FloatArray

    def weights(self, forecasts: FloatArray) -> FloatArray:
        """Component weights, shape (n, J), for forecasts of success and concentration, shape (n, 2)."""
        features = _features(forecasts, self.centre, self.scale)
        return _softmax(np.log(self.population.weights) + features @ self.gate)

    def prior(self, forecast: Sequence[float]) -> AnswerPrior:
        """The prior of one question."""
        weights = self.weights(np.asarray(forecast, dtype=np.float64)[None])[0]
        return replace(self.population, weights=tuple((weights / weights.sum()).tolist()))


def fit_gated_prior(samples: Samples, forecasts: FloatArray, folds: IntArray) -> GatedPrior:
    """Fit the gate by the likelihood of the recorded answers, its penalty by the folds left out.

    The population's prior, from which the gate starts, is fitted once on all rows.

    Args:
        samples: Recorded answers of n questions.
        forecasts: Success rate and answer concentration by heads that never saw the row, shape (n, 2).
        folds: Fold of each row, at least two, shape (n,).

    Raises:
        DataError: No questions, forecasts of another shape, or outside [0, 1].
    """
    if forecasts.shape != (len(samples.question_ids), 2) or not ((forecasts >= 0) & (forecasts <= 1)).all():
        raise DataError(
            f"forecasts must be (n, 2) in [0, 1] for {len(samples.question_ids)} questions, got {forecasts.shape}"
        )
    population = fit_prior(samples)
    given = observed_likelihoods(population.components, *samples.vote_counts())
    given = given / given.max(axis=1, keepdims=True)
    z = _logit(forecasts)
    centre, scale = z.mean(axis=0), z.std(axis=0) + 1e-9
    features = _features(forecasts, centre, scale)
    start = np.log(population.weights)

    def left_out(penalty: float) -> float:
        total = 0.0
        for fold in np.unique(folds):
            held = folds == fold
            gate = _fit_gate(features[~held], given[~held], start, penalty)
            total += float(np.log((_softmax(start + features[held] @ gate) * given[held]).sum(axis=1)).sum())
        return total

    penalty = max(PENALTIES, key=left_out)
    return GatedPrior(population, _fit_gate(features, given, start, penalty), centre, scale)


def _fit_gate(features: FloatArray, given: FloatArray, start: FloatArray, penalty: float) -> FloatArray:
    from scipy.optimize import minimize

    shape = features.shape[1], given.shape[1]

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        gate = flat.reshape(shape)
        weights = _softmax(start + features @ gate)
        joint = weights * given
        total = joint.sum(axis=1, keepdims=True)
        slope = features.T @ (weights - joint / total) + penalty * gate
        return float(-np.log(total).sum() + penalty * (gate**2).sum() / 2), slope.ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return np.asarray(found.x.reshape(shape))


def _features(forecasts: FloatArray, centre: FloatArray, scale: FloatArray) -> FloatArray:
    s, a = ((_logit(forecasts) - centre) / scale).T
    return np.stack([np.ones_like(s), s, a, s * s, a * a, s * a], axis=1)


def _logit(p: FloatArray) -> FloatArray:
    clipped = np.clip(p, 0.005, 0.995)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _softmax(z: FloatArray) -> FloatArray:
    shifted = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
