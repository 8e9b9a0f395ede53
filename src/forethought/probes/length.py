"""The length of the prompt: the baseline that any claim about difficulty has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from forethought.errors import DataError
from forethought.probes.base import FloatArray
from forethought.probes.logistic_heads import Heads, fit_heads
from forethought.probes.success_classifier import SuccessClassifier

# Four features need no search for a penalty.
_CS = (1.0,)


class LengthProbe(SuccessClassifier):
    """One logistic head a target on the logarithms of prompt lengths.

    arXiv 2602.09924 uses the prompt's token count; log(1 + length) and its square are ours, so that
    success may peak at a middle length.

    Attributes:
        centre_: Mean log(1 + length) of each column.
        heads_: Fitted coefficients, as `LogisticHeads` has them.
    """

    def _fit(self, X: FloatArray, rates: FloatArray, trials: FloatArray) -> None:
        if (X < 0).any():
            raise DataError(f"Negative values in data passed to LengthProbe: lengths must be >= 0, got {X.min()}")
        self.centre_ = np.log1p(X).mean(axis=0)
        self.heads_: Heads = fit_heads(self._curve(X), rates, trials, None, _CS)

    def _predict_success(self, X: FloatArray) -> FloatArray:
        logits = self._curve(np.maximum(X, 0)) @ self.heads_.coef.T + self.heads_.intercept
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))

    def _curve(self, lengths: FloatArray) -> FloatArray:
        logs = np.log1p(lengths) - self.centre_
        return np.hstack([logs, logs**2])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


def text_lengths(texts: Sequence[str], tokens: ArrayLike | None = None) -> FloatArray:
    """Return lengths `(n, 2)`: characters and words, or characters and prompt tokens where counted."""
    characters = [len(text) for text in texts]
    second = [len(text.split()) for text in texts] if tokens is None else np.asarray(tokens)
    return np.column_stack([characters, second]).astype(np.float64)
