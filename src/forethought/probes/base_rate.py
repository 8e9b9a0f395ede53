"""Each target's training success rate, the same for every question."""

from __future__ import annotations

import numpy as np

from forethought.probes.base import FloatArray
from forethought.probes.success_classifier import SuccessClassifier


class BaseRate(SuccessClassifier):
    """The baseline that knows the targets but not the question.

    Routing on it always chooses the single best target of the training rows, and its `predict`
    is each target's majority class.

    Attributes:
        rate_: `(K,)` mean success over the labels that are there, weighted by trials.
    """

    def _fit(self, X: FloatArray, rates: FloatArray, trials: FloatArray) -> None:
        self.rate_ = (np.nan_to_num(rates) * trials).sum(axis=0) / trials.sum(axis=0)

    def _predict_success(self, X: FloatArray) -> FloatArray:
        return np.tile(self.rate_, (len(X), 1))
