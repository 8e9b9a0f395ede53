"""Maps from logits to calibrated probabilities, one a target, with missing labels masked."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted

from forethought.errors import DataError, FeatureError
from forethought.probes.base import Arrays, FloatArray, Meta
from forethought.probes.linear_scorer import Table
from forethought.probes.success_classifier import check_rates, check_trials

_NEWTON_STEPS = 50


class Calibrator(BaseEstimator):  # type: ignore[misc]
    """Base of calibrators: `fit` on logits `(n, K)`, `transform` to P(success).

    A target with one class keeps its logits: nothing can be learned about it.
    """

    kind: ClassVar[str]

    def fit(self, logits: ArrayLike, Y: ArrayLike, trials: ArrayLike | None = None) -> Self:
        """Fit each target's map.

        Args:
            logits: Scores `(n, K)`, best out of fold.
            Y: Success rates `(n, K)`, NaN where missing.
            trials: Answers behind each rate `(n, K)`; None is one each.

        Raises:
            DataError: Shapes differ, or a target has no label.
            FeatureError: A logit is not finite.
        """
        scores, rates = _check_logits(logits), check_rates(Y)
        if scores.shape != rates.shape:
            raise DataError(f"logits and success must have one shape, got {scores.shape} and {rates.shape}")
        weights = check_trials(trials, rates)
        self.one_class_ = np.flatnonzero(np.nanmin(rates, axis=0) == np.nanmax(rates, axis=0)).tolist()
        self._fit(scores, np.nan_to_num(rates), weights)
        return self

    def _fit(self, scores: FloatArray, rates: FloatArray, weights: FloatArray) -> None:
        raise NotImplementedError

    def transform(self, logits: ArrayLike) -> FloatArray:
        """P(success) `(n, K)`."""
        raise NotImplementedError


class AffineCalibrator(Calibrator):
    """Base of calibrators that are affine on logits: `expit(slope_ * z + offset_)`, so they fold into a scorer."""

    slope_: FloatArray
    offset_: FloatArray

    def transform(self, logits: ArrayLike) -> FloatArray:
        """P(success) `(n, K)`."""
        check_is_fitted(self)
        return np.asarray(expit(self.slope_ * _check_logits(logits) + self.offset_))

    def state(self) -> tuple[Meta, Arrays]:
        """JSON-able description and arrays."""
        check_is_fitted(self)
        return {"kind": self.kind}, {"slope": self.slope_, "offset": self.offset_}


class PlattCalibrator(AffineCalibrator):
    """Slope and offset on the logit by maximum likelihood with Platt's prior-corrected labels (Platt 1999).

    Attributes:
        slope_: `(K,)`; `offset_` `(K,)`.
    """

    kind: ClassVar[str] = "platt"

    def _fit(self, scores: FloatArray, rates: FloatArray, weights: FloatArray) -> None:
        fitted = [_newton(scores[:, [k]], *_platt_labels(rates[:, k], weights[:, k])) for k in range(scores.shape[1])]
        self.slope_, self.offset_ = np.array(fitted).T
        self.slope_[self.one_class_], self.offset_[self.one_class_] = 1.0, 0.0


class TemperatureCalibrator(AffineCalibrator):
    """One temperature a target: the logit divided by it, ranking and sign kept (Guo et al. 2017, section 4.2).

    Attributes:
        slope_: Inverse temperatures `(K,)`; `offset_` is zero.
    """

    kind: ClassVar[str] = "temperature"

    def _fit(self, scores: FloatArray, rates: FloatArray, weights: FloatArray) -> None:
        grid = np.logspace(-3, 2, 501)
        self.slope_ = np.array(
            [grid[_log_loss(scores[:, k], rates[:, k], weights[:, k], grid).argmin()] for k in range(scores.shape[1])]
        )
        self.slope_[self.one_class_] = 1.0
        self.offset_ = np.zeros_like(self.slope_)


class IsotonicCalibrator(Calibrator):
    """Non-decreasing step map by pool-adjacent-violators, kept as a piecewise-linear table (Zadrozny & Elkan 2002).

    Attributes:
        tables_: One `Table` a target.
    """

    kind: ClassVar[str] = "isotonic"

    def transform(self, logits: ArrayLike) -> FloatArray:
        """P(success) `(n, K)`."""
        check_is_fitted(self)
        scores = _check_logits(logits)
        return np.column_stack([np.interp(scores[:, k], *table) for k, table in enumerate(self.tables_)])

    def state(self) -> tuple[Meta, Arrays]:
        """JSON-able description and arrays."""
        check_is_fitted(self)
        return {"kind": self.kind}, {f"table.{k}": np.stack(table) for k, table in enumerate(self.tables_)}

    def _fit(self, scores: FloatArray, rates: FloatArray, weights: FloatArray) -> None:
        self.tables_ = [self._table(scores[:, k], rates[:, k], weights[:, k]) for k in range(scores.shape[1])]

    def _table(self, scores: FloatArray, rates: FloatArray, weights: FloatArray) -> Table:
        used = weights > 0
        model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        model.fit(scores[used], rates[used], sample_weight=weights[used])
        return Table(np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64))


def _check_logits(logits: ArrayLike) -> FloatArray:
    scores = np.asarray(logits, dtype=np.float64)
    if scores.ndim != 2:
        raise DataError(f"logits must have shape (n, K), got {scores.shape}")
    if not np.isfinite(scores).all():
        raise FeatureError("logits must be finite")
    return scores


def _platt_labels(rates: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Labels pulled in from 0 and 1 as one success and one failure more would do (Platt 1999, equation 10)."""
    right = (weights * rates).sum()
    wrong = weights.sum() - right
    high, low = (right + 1) / (right + 2), 1 / (wrong + 2)
    return low + (high - low) * rates, weights


def _newton(z: FloatArray, labels: FloatArray, weights: FloatArray) -> FloatArray:
    """Slope and offset of a weighted logistic fit on one standardised score."""
    used = weights > 0
    centre, spread = z[used].mean(), z[used].std() or 1.0
    design = np.column_stack([(z - centre) / spread, np.ones(len(z))])
    theta = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        p = expit(design @ theta)
        curvature = (design * (weights * np.maximum(p * (1 - p), 1e-9))[:, None]).T @ design + 1e-9 * np.eye(2)
        move = np.linalg.solve(curvature, design.T @ (weights * (labels - p)))
        theta += np.clip(move, -2.0, 2.0)
        if np.abs(move).max() < 1e-10:
            break
    return np.array([theta[0] / spread, theta[1] - theta[0] * centre / spread])


def _log_loss(z: FloatArray, rates: FloatArray, weights: FloatArray, slopes: FloatArray) -> FloatArray:
    scaled = np.outer(slopes, z)
    return np.asarray(((np.logaddexp(0, scaled) - rates * scaled) * weights).sum(axis=1))


def fold_affine(calibrator: Calibrator | None, targets: int) -> tuple[FloatArray, FloatArray, list[Any]]:
    """Slope, offset and tables to put behind logits: identity without a calibrator."""
    if isinstance(calibrator, AffineCalibrator):
        return calibrator.slope_, calibrator.offset_, []
    return np.ones(targets), np.zeros(targets), list(getattr(calibrator, "tables_", []))
