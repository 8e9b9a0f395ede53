"""The heads a router can be fitted with, each giving honest out-of-fold predictions and a serving form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forethought.router.features import Block

if TYPE_CHECKING:
    from forethought.probes import Scorer
    from forethought.router.config import FitConfig, HeadName

Array = NDArray[np.float64]
Folds = NDArray[np.intp]


@dataclass(frozen=True)
class FittedHead:
    """A head after training.

    Attributes:
        scorer: The serving form, fitted on every training row.
        out_of_fold: Calibrated P(success) of each training row by models that never saw it, shape (n, K).
        raw_out_of_fold: The same before calibration.
        one_class: Columns of targets with one class only, served by their base rate.
    """

    scorer: Scorer
    out_of_fold: Array
    raw_out_of_fold: Array
    one_class: tuple[int, ...] = ()


def fit_head(blocks: Sequence[Block], success: Array, trials: Array, folds: Folds, config: FitConfig) -> FittedHead:
    """Fit the head that a config names.

    Args:
        blocks: One (n, d) array per feature block, text last where there is one.
        success: Labels, NaN where missing, shape (n, K).
        trials: Samples behind each label, shape (n, K).
        folds: Fold of each row.
        config: Names the head and its settings.
    """
    return _HEADS[config.head](blocks, success, trials, folds, config)


def _stack(blocks: Sequence[Block], success: Array, trials: Array, folds: Folds, config: FitConfig) -> FittedHead:
    from forethought.probes import StackedHead

    head = StackedHead(calibrator=_calibrator(config)).fit(blocks, success, folds, trials)
    return FittedHead(head.scorer(), head.out_of_fold_, head.raw_out_of_fold_, tuple(head.one_class_))


def _average(blocks: Sequence[Block], success: Array, trials: Array, folds: Folds, config: FitConfig) -> FittedHead:
    from forethought.probes import AveragedHead

    head = AveragedHead(calibrator=_calibrator(config)).fit(blocks, success, folds, trials)
    return FittedHead(head.scorer(), head.out_of_fold_, head.raw_out_of_fold_, tuple(head.one_class_))


def _logistic(blocks: Sequence[Block], success: Array, trials: Array, folds: Folds, config: FitConfig) -> FittedHead:
    from forethought.probes import LinearScorer, LogisticHeads, out_of_fold
    from forethought.probes.linear_scorer import Part

    X = np.hstack(blocks)
    raw = out_of_fold(LogisticHeads, X, success, folds)
    head = LogisticHeads().fit(X, success, trials, folds)
    calibrator, calibrated = _calibrate(raw, success, trials, folds, config)
    whole, edges = head.scorer(), np.cumsum([block.shape[1] for block in blocks])[:-1]
    centre, weights = whole.parts[0]
    assert centre is not None
    halves = zip(np.split(centre, edges), np.split(weights * calibrator.slope_, edges), strict=True)
    bias = whole.bias * calibrator.slope_ + calibrator.offset_
    scorer = LinearScorer([Part(mean, share) for mean, share in halves], bias)
    return FittedHead(scorer, calibrated, raw, tuple(head.one_class_))


def _trunk(blocks: Sequence[Block], success: Array, trials: Array, folds: Folds, config: FitConfig) -> FittedHead:
    from forethought.probes import SharedTrunkNet, out_of_fold

    X = np.hstack(blocks)
    size = trunk_components(len(X))

    def make() -> SharedTrunkNet:
        return SharedTrunkNet(size, seeds=range(42, 42 + config.trunk_seeds), keep=config.trunk_keep)

    raw = out_of_fold(make, X, success, folds)
    net = make().fit(X, success)
    calibrator, calibrated = _calibrate(raw, success, trials, folds, config)
    scorer = net.scorer_.calibrated(calibrator.slope_, calibrator.offset_)
    return FittedHead(scorer, calibrated, raw, tuple(net.one_class_))


def trunk_components(n: int) -> int:
    """PCA size of the trunk: 100, inside the paper's range of 50 to 300, or less where rows are few."""
    return max(1, min(100, n // 4))


def logit(p: Array) -> Array:
    """Log odds, with probabilities kept off 0 and 1."""
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _calibrator(config: FitConfig) -> Any:
    from forethought.probes import IsotonicCalibrator, PlattCalibrator, TemperatureCalibrator

    makers = {"platt": PlattCalibrator, "isotonic": IsotonicCalibrator, "temperature": TemperatureCalibrator}
    return makers[config.calibration]()


def _calibrate(raw: Array, success: Array, trials: Array, folds: Folds, config: FitConfig) -> tuple[Any, Array]:
    """The map to serve, fitted on all rows, and each row's probability by a map fitted without its fold."""
    z = logit(raw)
    calibrated = np.empty_like(raw)
    for fold in np.unique(folds):
        held = folds == fold
        calibrated[held] = _calibrator(config).fit(z[~held], success[~held], trials[~held]).transform(z[held])
    return _calibrator(config).fit(z, success, trials), calibrated


_HEADS: Mapping[HeadName, Callable[..., FittedHead]] = {
    "stack": _stack,
    "average": _average,
    "logistic": _logistic,
    "trunk": _trunk,
}
