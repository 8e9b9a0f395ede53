"""StackedHead: shared-and-residual ridge on each block, a logistic stack over their scores, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from forethought.errors import DataError, FeatureError
from forethought.probes.base import BoolArray, FloatArray, IntArray, check_blocks
from forethought.probes.block_ridge import BlockRidge
from forethought.probes.calibration import Calibrator, PlattCalibrator, fold_affine
from forethought.probes.linear_scorer import LinearScorer, Part
from forethought.probes.logistic_path import logistic_path
from forethought.probes.penalty_choice import check_folds, choose_penalty
from forethought.probes.ridge_path import check_penalties
from forethought.probes.shared_residual import ALPHAS, split_one_class
from forethought.probes.success_classifier import check_rates, check_trials

if TYPE_CHECKING:
    from forethought.probes.base import Block

STACK_CS = tuple(10.0 ** (k / 2) for k in range(-8, 3))
_STACK_TOLERANCE = 1e-3


class Labels(NamedTuple):
    """Success rates, trials and folds of all rows."""

    Y: FloatArray
    trials: FloatArray
    folds: IntArray


class Stack(NamedTuple):
    """Logits from standardised block scores, then calibration; `position` of its C in the path."""

    mean: FloatArray
    scale: FloatArray
    coef: FloatArray
    intercept: FloatArray
    calibrator: Calibrator
    position: int

    def logits(self, scores: FloatArray) -> FloatArray:
        """Logits `(n, K)` before calibration."""
        return (scores - self.mean) / self.scale @ self.coef + self.intercept


class StackedHead(BaseEstimator):  # type: ignore[misc]
    """The default head. Every target's stack sees all targets' scores of all blocks (Breiman & Friedman 1997).

    The stack is fitted on scores that the blocks' ridges gave out of fold (Wolpert 1992), so it
    knows how far each can be trusted. All steps are affine until the last: serving is one matrix
    product a block.

    Args:
        alphas: Penalties of the blocks' ridges, see `SharedResidualRidge`.
        Cs: Inverse penalties of the stack.
        calibrator: Fitted on the stack's out-of-fold logits; None is `PlattCalibrator()`.

    Attributes:
        out_of_fold_: P(success) `(n, K)` by the whole chain fitted without the row's fold: penalties,
            stack and calibration included; `raw_out_of_fold_` the same before calibration.
        penalties_: `{"shared", "residual"}` of each block; `C_` that of the stack.
        edge_: What was chosen at an edge of its path: `block 0 shared`, `stack`, ...
        one_class_: Columns with a single class, served by their smoothed base rate.
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        Cs: Sequence[float] = STACK_CS,
        calibrator: Calibrator | None = None,
    ) -> None:
        self.alphas = alphas
        self.Cs = Cs
        self.calibrator = calibrator

    def fit(self, blocks: Sequence[Block], Y: ArrayLike, folds: ArrayLike, trials: ArrayLike | None = None) -> Self:
        """Fit on all rows, and once more without each fold for the out-of-fold probabilities.

        Args:
            blocks: Feature blocks `(n, d_b)`, dense or CSR.
            Y: Success rates `(n, K)`, NaN where missing.
            folds: Fold of each row `(n,)`, at least three; linked questions belong in one fold.
            trials: Answers behind each rate `(n, K)`; None is one each.

        Raises:
            DataError: Labels or folds that do not fit, or a target without labels.
            FeatureError: No block, blocks of other length, or values that are not finite.
        """
        labels = check_stack(blocks, Y, folds, trials)
        check_penalties(self.Cs)
        live, self.one_class_ = split_one_class(labels.Y)
        alphas = check_penalties(self.alphas)[::-1]
        ridges = [BlockRidge(X, labels.Y[:, live], labels.trials[:, live], labels.folds, alphas) for X in blocks]
        self.out_of_fold_ = np.full(labels.Y.shape, np.nan)
        self.raw_out_of_fold_ = np.full(labels.Y.shape, np.nan)
        for fold in np.unique(labels.folds):
            held = labels.folds == fold
            stack = self._fit_stack(np.hstack([ridge.inner_scores(fold) for ridge in ridges]), labels, ~held)
            logits = stack.logits(np.hstack([ridge.outer_scores(fold) for ridge in ridges]))
            self.raw_out_of_fold_[held] = expit(logits)
            self.out_of_fold_[held] = stack.calibrator.transform(logits)
        self._stack = self._fit_stack(np.hstack([r.inner_scores(None) for r in ridges]), labels, labels.folds >= 0)
        self._keep(ridges, alphas)
        return self

    def predict_proba(self, blocks: Sequence[Block]) -> FloatArray:
        """P(success) `(n, K)`, by the serving form."""
        check_is_fitted(self)
        return self.scorer_.predict_proba(blocks)

    def scorer(self) -> LinearScorer:
        """Serving form."""
        check_is_fitted(self)
        return self.scorer_

    def _fit_stack(self, scores: FloatArray, labels: Labels, rows: BoolArray) -> Stack:
        """Choose C, fit and calibrate on the given rows; `scores` of these rows only."""
        Y, trials, folds = labels.Y[rows], labels.trials[rows], labels.folds[rows]
        Cs = check_penalties(self.Cs)
        mean, scale = scores.mean(axis=0), scores.std(axis=0)
        scale = np.where(scale > 1e-9, scale, 1.0)
        Z = (scores - mean) / scale
        logits = np.zeros((len(Cs), *Y.shape))
        for fold in np.unique(folds):
            test = folds == fold
            path = logistic_path(Z[~test], Y[~test], trials[~test], Cs, _STACK_TOLERANCE)
            logits[:, test] = [Z[test] @ coef + intercept for coef, intercept in path]
        position = choose_penalty(logits, Y, _log_loss(logits, Y, trials), folds)
        *_, (coef, intercept) = logistic_path(Z, Y, trials, Cs[: position + 1], _STACK_TOLERANCE)
        calibrator = clone(self.calibrator) if self.calibrator is not None else PlattCalibrator()
        calibrator.fit(logits[position], Y, trials)
        return Stack(mean, scale, coef, intercept, calibrator, position)

    def _keep(self, ridges: Sequence[BlockRidge], alphas: FloatArray) -> None:
        Cs, stack = check_penalties(self.Cs), self._stack
        self.C_ = float(Cs[stack.position])
        self.penalties_ = [ridge.chosen_alphas() for ridge in ridges]
        edges = [
            f"block {i} {part}"
            for i, penalties in enumerate(self.penalties_)
            for part, alpha in penalties.items()
            if alpha in (alphas[0], alphas[-1])
        ]
        self.edge_ = (*edges, *(["stack"] if stack.position in (0, len(Cs) - 1) else []))
        self.scorer_ = _fold(ridges, stack)


def check_stack(blocks: Sequence[Block], Y: ArrayLike, folds: ArrayLike, trials: ArrayLike | None) -> Labels:
    """Labels of a head over several blocks, folds numbered from 0.

    Raises:
        DataError: Labels or folds that do not fit, a target without labels, or fewer than three folds.
        FeatureError: No block, blocks of other length, or values that are not finite.
    """
    rates = check_rates(Y)
    if not blocks:
        raise FeatureError("a head over blocks needs at least one feature block")
    check_blocks(blocks, [block.shape[-1] for block in blocks])
    for i, block in enumerate(blocks):
        if not np.isfinite(block.data if not isinstance(block, np.ndarray) else block).all():
            raise FeatureError(f"block {i} has values that are not finite")
    if blocks[0].shape[0] != len(rates):
        raise DataError(f"blocks have {blocks[0].shape[0]} rows, success rates {len(rates)}")
    numbers = np.unique(check_folds(folds, len(rates)), return_inverse=True)[1]
    if numbers.max() < 2:
        raise DataError("a head over blocks needs at least three folds: one is held out, the others train it")
    return Labels(rates, check_trials(trials, rates), numbers)


def _fold(ridges: Sequence[BlockRidge], stack: Stack) -> LinearScorer:
    """One affine map a block: ridge, standardisation, stack and an affine calibrator multiplied out."""
    slope, offset, tables = fold_affine(stack.calibrator, stack.coef.shape[1])
    weights = stack.coef / stack.scale[:, None] * slope
    bias = (stack.intercept - stack.mean / stack.scale @ stack.coef) * slope + offset
    parts, start = [], 0
    for ridge in ridges:
        affine, centre = ridge.fit(), ridge.path.mean
        mine = weights[start : start + affine.coef.shape[1]]
        bias = bias + (affine.intercept + centre @ affine.coef) @ mine
        parts.append(Part(centre if ridge.centred else None, affine.coef @ mine))
        start += affine.coef.shape[1]
    return LinearScorer(parts, bias, tables=tables)


def _log_loss(logits: FloatArray, Y: FloatArray, trials: FloatArray) -> FloatArray:
    """Binomial log loss a trial, of each setting `(a,)`."""
    loss = np.logaddexp(0, logits) - np.nan_to_num(Y) * logits
    return np.asarray((trials * loss).sum(axis=(1, 2)) / trials.sum())
