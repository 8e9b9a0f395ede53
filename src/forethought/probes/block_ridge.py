"""One block's shared-and-residual ridge under nested folds, every fit made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse

from forethought.probes.base import FloatArray, IntArray
from forethought.probes.ridge_path import Affine, RidgePath
from forethought.probes.shared_residual import Penalties, choose_penalties, fit_parts, predict_parts

if TYPE_CHECKING:
    from forethought.probes.base import Block


class BlockRidge:
    """Scores of one block that no label of the scored row, nor of an outer fold, had a part in.

    To stack honestly inside an outer fold o, row scores come from fits without folds o and i. Such a
    fit serves both (o, i) and (i, o): k folds take k (k + 1) / 2 fits, not k * k.

    Args:
        X: Features `(n, d)`.
        Y: Success rates `(n, K)`, NaN where missing.
        trials: `(n, K)`, 0 where missing.
        folds: `(n,)`.
        alphas: Relative penalties, descending.
    """

    def __init__(self, X: Block, Y: FloatArray, trials: FloatArray, folds: IntArray, alphas: FloatArray) -> None:
        self.path = RidgePath(X)
        self.centred = not issparse(X)
        self._Y, self._trials, self._folds, self._alphas = Y, trials, folds, alphas
        self._numbers = np.unique(folds).tolist()
        self._held: dict[frozenset[int], FloatArray] = {}
        self._chosen: dict[int | None, Penalties] = {}

    def inner_scores(self, outer: int | None) -> FloatArray:
        """Out-of-fold scores `(rows outside the outer fold, 1 + K)` at penalties chosen on these rows."""
        kept = self._folds != outer if outer is not None else np.ones(len(self._folds), dtype=bool)
        scores = np.zeros((len(self._alphas), len(self._folds), 1 + self._Y.shape[1]))
        for fold in self._numbers:
            if fold != outer:
                scores[:, self._folds == fold] = self._predict(fold, frozenset({fold, outer} - {None}))
        scores = scores[:, kept]
        self._chosen[outer] = choose_penalties(scores, self._Y[kept], self._folds[kept])
        return _pick(scores, self._chosen[outer])

    def outer_scores(self, outer: int) -> FloatArray:
        """Scores of the outer fold's rows by a fit on all others, at the penalties `inner_scores` chose."""
        return _pick(self._predict(outer, frozenset({outer})), self._chosen[outer])

    def chosen_alphas(self) -> dict[str, float]:
        """The penalties of the final fit, by part; after `inner_scores(None)`."""
        return {part: float(self._alphas[position]) for part, position in self._chosen[None]._asdict().items()}

    def fit(self) -> Affine:
        """Affine map to the 1 + K scores, fitted on all rows; after `inner_scores(None)`."""
        return fit_parts(self.path, np.arange(len(self._folds)), self._Y, self._trials, self.chosen_alphas())

    def _predict(self, fold: int, without: frozenset[int]) -> FloatArray:
        """Scores `(a, rows of the fold, 1 + K)` by fits without some folds."""
        left_out = np.isin(self._folds, list(without))
        test = np.flatnonzero(left_out)
        if without not in self._held:
            train = np.flatnonzero(~left_out)
            self._held[without] = predict_parts(self.path, train, test, self._Y, self._trials, self._alphas)
        return self._held[without][:, self._folds[test] == fold]


def _pick(scores: FloatArray, chosen: Penalties) -> FloatArray:
    return np.column_stack([scores[chosen.shared, :, :1], scores[chosen.residual, :, 1:]])
