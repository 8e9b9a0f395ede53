"""AveragedHead: shared-and-residual ridge on each block, their plain average, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from forethought.errors import ConfigError
from forethought.probes.base import BoolArray, FloatArray
from forethought.probes.block_ridge import BlockRidge
from forethought.probes.calibration import Calibrator, PlattCalibrator, fold_affine
from forethought.probes.linear_scorer import LinearScorer, Part, Table
from forethought.probes.ridge_path import check_penalties
from forethought.probes.shared_residual import ALPHAS, split_one_class
from forethought.probes.stack import Labels, check_stack

if TYPE_CHECKING:
    from forethought.probes.base import Block


class AveragedHead(BaseEstimator):  # type: ignore[misc]
    """An average over blocks has nothing to learn about how far each can be trusted, and so nothing to get wrong.

    `StackedHead` weighs every target's score of every block; on a few thousand labels these weights cost about what
    they earn. Blocks whose errors differ (layers, encoders, text) average out; the weights are fixed beforehand.

    Args:
        alphas: Penalties of the blocks' ridges, see `SharedResidualRidge`.
        weights: Of the blocks, one each, made to sum to 1; None is equal weights.
        calibrator: Fitted on the average's out-of-fold scores; None is `PlattCalibrator()`.

    Attributes:
        out_of_fold_: P(success) `(n, K)` by the whole chain fitted without the row's fold, computed when first asked
            for; `raw_out_of_fold_` the averaged scores before calibration.
        penalties_: `{"shared", "residual"}` of each block.
        one_class_: Columns with a single class, served by their smoothed base rate.
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        weights: Sequence[float] | None = None,
        calibrator: Calibrator | None = None,
    ) -> None:
        self.alphas = alphas
        self.weights = weights
        self.calibrator = calibrator

    def fit(self, blocks: Sequence[Block], Y: ArrayLike, folds: ArrayLike, trials: ArrayLike | None = None) -> Self:
        """Choose the ridges' penalties out of fold, fit on all rows and calibrate on the out-of-fold average.

        Args:
            blocks: Feature blocks `(n, d_b)`, dense or CSR.
            Y: Success rates `(n, K)`, NaN where missing.
            folds: Fold of each row `(n,)`, at least three; linked questions belong in one fold.
            trials: Answers behind each rate `(n, K)`; None is one each.

        Raises:
            ConfigError: Weights that are negative, all zero, or not one a block.
            DataError: Labels or folds that do not fit, or a target without labels.
            FeatureError: No block, blocks of other length, or values that are not finite.
        """
        labels = check_stack(blocks, Y, folds, trials)
        self._shares = self._weigh(len(blocks))
        self._live, self.one_class_ = split_one_class(labels.Y)
        self._seen = Labels(labels.Y[:, self._live], labels.trials[:, self._live], labels.folds)
        self._base = (np.nansum(labels.Y * labels.trials, axis=0) + 0.5) / (labels.trials.sum(axis=0) + 1)
        self._ridges = [BlockRidge(X, *self._seen, check_penalties(self.alphas)[::-1]) for X in blocks]
        self.__dict__.pop("_nested", None)
        scores = self._average([ridge.inner_scores(None) for ridge in self._ridges])
        self.penalties_ = [ridge.chosen_alphas() for ridge in self._ridges]
        self.scorer_ = self._fold(self._calibrate(scores, labels.folds >= 0))
        return self

    @property
    def out_of_fold_(self) -> FloatArray:
        """Calibrated, `(n, K)`."""
        check_is_fitted(self)
        return self._nested[1]

    @property
    def raw_out_of_fold_(self) -> FloatArray:
        """Before calibration, `(n, K)`, clipped to [0, 1]."""
        check_is_fitted(self)
        return self._nested[0]

    @cached_property
    def _nested(self) -> tuple[FloatArray, FloatArray]:
        """Raw and calibrated; a fit without two folds serves either order, so k folds take k (k - 1) / 2 fits more."""
        raw, calibrated = np.tile(self._base, (2, len(self._seen.folds), 1))
        for fold in np.unique(self._seen.folds):
            held = self._seen.folds == fold
            inner = self._average([ridge.inner_scores(fold) for ridge in self._ridges])
            scores = self._average([ridge.outer_scores(fold) for ridge in self._ridges])
            cells = np.ix_(held, self._live)
            raw[cells] = np.clip(scores, 0.0, 1.0)
            calibrated[cells] = self._calibrate(inner, ~held).transform(_tangent(scores))
        for found in (raw, calibrated):
            found[:, self.one_class_] = self._base[self.one_class_]
        return raw, calibrated

    def predict_proba(self, blocks: Sequence[Block]) -> FloatArray:
        """P(success) `(n, K)`, by the serving form."""
        return self.scorer().predict_proba(blocks)

    def scorer(self) -> LinearScorer:
        """Serving form."""
        check_is_fitted(self)
        return self.scorer_

    def _weigh(self, blocks: int) -> FloatArray:
        weights = np.ones(blocks) if self.weights is None else np.asarray(self.weights, dtype=np.float64)
        if weights.shape != (blocks,) or not (weights >= 0).all() or not weights.sum() > 0:
            raise ConfigError(f"weights must be >= 0, not all 0, and one for each of {blocks} blocks, got {weights}")
        return np.asarray(weights / weights.sum())

    def _average(self, scores: Sequence[FloatArray]) -> FloatArray:
        """Weighted mean over blocks of shared score plus residuals, `(n, K)`."""
        parts = zip(self._shares, scores, strict=True)
        return np.asarray(sum(share * (score[:, :1] + score[:, 1:]) for share, score in parts))

    def _calibrate(self, scores: FloatArray, rows: BoolArray) -> Calibrator:
        calibrator = clone(self.calibrator) if self.calibrator is not None else PlattCalibrator()
        return calibrator.fit(_tangent(scores), self._seen.Y[rows], self._seen.trials[rows])

    def _fold(self, calibrator: Calibrator) -> LinearScorer:
        """Ridges, average, tangent and an affine calibrator multiplied out; one-class columns get their base rate."""
        live = self._live
        slope, offset, tables = fold_affine(calibrator, len(live))
        parts, bias = [], np.zeros(len(self._base))
        bias[live] = offset - 2.0 * slope
        for ridge, share in zip(self._ridges, self._shares, strict=True):
            affine, centre = ridge.fit(), ridge.path.mean
            weights = np.zeros((len(affine.coef), len(bias)))
            weights[:, live] = 4.0 * share * slope * (affine.coef[:, :1] + affine.coef[:, 1:])
            bias[live] += 4.0 * share * slope * (affine.intercept[0] + affine.intercept[1:]) + centre @ weights[:, live]
            weights[:, self.one_class_] = 0.0
            parts.append(Part(centre if ridge.centred else None, weights))
        bias[self.one_class_] = np.log(self._base / (1 - self._base))[self.one_class_]
        return LinearScorer(parts, bias, tables=self._every_table(tables))

    def _every_table(self, tables: Sequence[Table]) -> list[Table]:
        """Isotonic tables of the live columns, and flat ones for the others; none where the calibrator has none."""
        if not tables:
            return []
        flat = [Table(np.array([0.0, 1.0]), np.full(2, rate)) for rate in self._base]
        for column, table in zip(self._live, tables, strict=True):
            if column not in self.one_class_:
                flat[column] = table
        return flat


def _tangent(scores: FloatArray) -> FloatArray:
    """The logit's tangent at 1/2: affine, so that serving stays one product a block."""
    return 4.0 * (scores - 0.5)
