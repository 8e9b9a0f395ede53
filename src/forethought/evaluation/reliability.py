"""Whether a stated probability means what it says, per target, before and after calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.evaluation.cards import Truth
from forethought.metrics import Reliability, debiased_ece, reliability_curve
from forethought.router import Dataset, Fit

Array = NDArray[np.float64]
BINS = 10


@dataclass(frozen=True)
class TargetReliability:
    """Reliability of one target.

    Attributes:
        before: Curve of the uncalibrated out-of-fold predictions of the training part.
        after: Curve of the calibrated predictions on the report part.
        ece_before: Debiased calibration error of the first.
        ece_after: Of the second.
    """

    target: str
    before: Reliability
    after: Reliability
    ece_before: float
    ece_after: float


def target_reliability(data: Dataset, fit: Fit, routed: Array, truth: Truth) -> list[TargetReliability]:
    """Compare stated and observed success of every target."""
    labels, trials, raw = data.success[fit.parts.train], data.trials[fit.parts.train], fit.head.raw_out_of_fold
    return [
        TargetReliability(
            target.name,
            before=reliability_curve(labels[:, k], raw[:, k], BINS),
            after=reliability_curve(truth.success[:, k], routed[:, k], BINS),
            ece_before=debiased_ece(labels[:, k], raw[:, k], trials=trials[:, k]),
            ece_after=truth.calibration_error(routed, k),
        )
        for k, target in enumerate(data.targets)
    ]
