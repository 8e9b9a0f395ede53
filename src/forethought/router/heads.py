"""The heads a router can be fitted with, each giving honest out-of-fold predictions and a serving form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forethought.errors import ConfigError
from forethought.router.features import Block

if TYPE_CHECKING:
    from forethought.probes import Scorer
    from forethought.router.config import FitConfig, HeadName

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FittedHead:
    """A head after training.

    Attributes:
        scorer: The serving form, fitted on every training row.
        out_of_fold: Calibrated P(success) of each training row by models that never saw it, shape (n, K).
        raw_out_of_fold: The same before calibration.
        one_class: Indices of targets with one class only, served by their base rate.
    """

    scorer: Scorer
    out_of_fold: Array
    raw_out_of_fold: Array
    one_class: tuple[int, ...] = ()


def fit_head(blocks: Sequence[Block], success: Array, trials: Array, folds: NDArray[np.intp], config: FitConfig) -> FittedHead:
    """Fit the head that a config names.

    Args:
        blocks: One (n, d) array per feature block, text last where there is one.
        success: Labels, NaN where missing, shape (n, K).
        trials: Samples behind each label, shape (n, K).
        folds: Fold of each row.
        config: Names the head and its settings.
    """
    return _HEADS[config.head](blocks, success, trials, folds, config)


def _stack(blocks: Sequence[Block], success: Array, trials: Array, folds: NDArray[np.intp], config: FitConfig) -> FittedHead:
    from forethought.probes import StackedHead

    head = StackedHead().fit(blocks, success, folds, trials=trials)
    return FittedHead(head.scorer(), head.out_of_fold_, head.raw_out_of_fold_, head.one_class_)


_HEADS: Mapping[HeadName, Callable[..., FittedHead]] = {"stack": _stack}
