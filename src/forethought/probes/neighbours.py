"""k nearest neighbours on embeddings: the baseline that tuned routers often fail to beat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forethought.errors import ConfigError
from forethought.probes.base import FloatArray
from forethought.probes.success_classifier import SuccessClassifier

_ROWS_AT_ONCE = 256


class NearestNeighbours(SuccessClassifier):
    """Mean success of the k most similar training questions (cosine, after centring).

    "kNN beats complex routers" (arXiv 2505.12601) holds for a tuned k, so k is tuned: by
    leave-one-out log loss on the training rows, one k for all targets. A neighbour without a label
    for a target is left out of that target's mean, and one answer at the target's base rate is
    added, so that no probability is 0 or 1.

    Args:
        ks: Candidate numbers of neighbours; those beyond the training rows are cut to them.

    Attributes:
        k_: The number chosen.
        loss_: Leave-one-out log loss of each candidate, in the order of `ks`.
    """

    def __init__(self, ks: Sequence[int] = (5, 10, 20, 50, 100, 200)) -> None:
        self.ks = ks

    def fit(self, X: ArrayLike, Y: ArrayLike, trials: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Remember the training rows and choose k.

        Args:
            X: Embeddings `(n, d)`.
            Y: Success rates `(n, K)`, NaN where missing, or two labels `(n,)`.
            trials: Answers behind each rate `(n, K)`; None is one each.
            groups: `(n,)` labels; rows of one group are not neighbours of each other while k is
                chosen, just as no test question shares a component with the training rows.

        Raises:
            ConfigError: No candidate, or one below 1.
        """
        self._groups = None if groups is None else np.asarray(groups)
        return super().fit(X, Y, trials)

    def _fit(self, X: FloatArray, rates: FloatArray, trials: FloatArray) -> None:
        if not len(self.ks) or min(self.ks) < 1:
            raise ConfigError(f"ks must hold numbers >= 1, got {self.ks}")
        self._centre = X.mean(axis=0)
        self._rows = _unit(X - self._centre)
        right = np.nan_to_num(rates) * trials
        self._base = right.sum(axis=0) / trials.sum(axis=0)
        # A last row without answers stands for "no neighbour".
        self._right, self._trials = np.pad(right, ((0, 1), (0, 0))), np.pad(trials, ((0, 1), (0, 0)))
        self.loss_ = self._leave_one_out()
        self.k_ = int(self.ks[int(np.argmin(self.loss_))])

    def _predict_success(self, X: FloatArray) -> FloatArray:
        parts = [self._vote(near)[:, -1] for _, near in self._nearest(_unit(X - self._centre), (self.k_,))]
        return np.concatenate(parts)

    def _leave_one_out(self) -> FloatArray:
        """Log loss `(len(ks),)` of each training row predicted from the others."""
        total = np.zeros(len(self.ks))
        groups = np.arange(len(self._rows)) if self._groups is None else self._groups
        for rows, near in self._nearest(self._rows, self.ks, groups):
            p = np.clip(self._vote(near, self.ks), 1e-6, 1 - 1e-6)
            right, wrong = self._right[rows, None], (self._trials - self._right)[rows, None]
            total -= (right * np.log(p) + wrong * np.log1p(-p)).sum(axis=(0, 2))
        loss: FloatArray = total / self._trials.sum()
        return loss

    def _nearest(
        self, queries: FloatArray, ks: Sequence[int], groups: NDArray[Any] | None = None
    ) -> Iterator[tuple[slice, NDArray[np.int64]]]:
        """Yield slices of queries and their training rows, nearest first, equals in training order."""
        wanted = min(max(ks), len(self._rows))
        for start in range(0, len(queries), _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, len(queries)))
            similarity = queries[rows] @ self._rows.T
            if groups is not None:
                similarity[groups[rows, None] == groups[None]] = -np.inf
            near = np.argsort(-similarity, axis=1, kind="stable")[:, :wanted]
            allowed = np.take_along_axis(similarity, near, axis=1) > -np.inf
            yield rows, np.where(allowed, near, len(self._rows))

    def _vote(self, near: NDArray[np.int64], ks: Sequence[int] | None = None) -> FloatArray:
        """Success `(n, len(ks), K)` over the first k of `near (n, wanted)`; all of them without `ks`."""
        last = np.array([near.shape[1]] if ks is None else ks).clip(max=near.shape[1]) - 1
        right = self._right[near].cumsum(axis=1)[:, last]
        trials = self._trials[near].cumsum(axis=1)[:, last]
        success: FloatArray = (right + self._base) / (trials + 1.0)
        return success


def _unit(X: FloatArray) -> FloatArray:
    norm = np.linalg.norm(X, axis=1, keepdims=True)
    unit: FloatArray = X / np.where(norm > 0, norm, 1.0)
    return unit
