"""SharedTrunkNet: one trunk over prefill features, one head a target (arXiv 2603.20895)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils.validation import check_is_fitted

from forethought.errors import ConfigError, DataError
from forethought.probes.base import FloatArray, IntArray
from forethought.probes.projection import Projection, fit_projection
from forethought.probes.success_classifier import SuccessClassifier
from forethought.probes.trunk_config import TrunkTraining
from forethought.probes.trunk_scorer import TrunkScorer, stack_networks

if TYPE_CHECKING:
    from forethought.probes.trunk_training import Trained

PAPER_SEEDS = tuple(range(42, 52))


class SharedTrunkNet(SuccessClassifier):
    """Multi-output network on PCA scores: Linear 256, ReLU, Linear 128, ReLU, K logits; an ensemble over seeds.

    Every seed stops and competes on the same selection rows. In the released code each seed draws
    its own, so that keeping the lowest losses partly keeps the easiest splits.

    Args:
        pca: Principal components kept; one number, or one for each target with `columns`.
        columns: None uses one transform of all features for all targets. Otherwise one
            `(start, stop)` range for each target, each with a transform of its own, put side by
            side; equal ranges share one transform.
        seeds: Seeds of the networks trained.
        keep: Networks kept, those of the lowest selection loss; at most `len(seeds)`.
        training: Architecture and optimiser; None is `TrunkTraining()`.

    Attributes:
        scorer_: `TrunkScorer` that predicts here and serves elsewhere: one engine for both.
        selection_: Rows `(s,)` of the selection split.
        selection_loss_: Binary cross-entropy of each seed on it, in the order of `seeds`.
        kept_: Seeds kept, best first.
        one_class_: Columns of Y with a single class: served by their base rate.
    """

    def __init__(
        self,
        pca: int | Sequence[int] = 100,
        columns: Sequence[tuple[int, int]] | None = None,
        seeds: Sequence[int] = PAPER_SEEDS,
        keep: int = 5,
        training: TrunkTraining | None = None,
    ) -> None:
        self.pca = pca
        self.columns = columns
        self.seeds = seeds
        self.keep = keep
        self.training = training

    def fit(self, X: ArrayLike, Y: ArrayLike, trials: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Fit transforms and ensemble.

        Args:
            X: Features `(n, d)`.
            Y: Success rates `(n, K)`, NaN where missing, or two labels `(n,)`.
            trials: Answers behind each rate `(n, K)`, the weight of its likelihood; None is one each.
            groups: `(n,)` labels of rows that must stay on one side of the selection split.

        Raises:
            DataError: A rate outside [0, 1], a target without labels, or too few rows to split.
            ConfigError: `seeds`, `keep`, `pca` or `columns` are not usable.
        """
        self._groups = None if groups is None else np.asarray(groups)
        return super().fit(X, Y, trials)

    def scorer(self) -> TrunkScorer:
        """Serving form."""
        check_is_fitted(self)
        return self.scorer_

    def _fit(self, X: FloatArray, rates: FloatArray, trials: FloatArray) -> None:
        from forethought.probes.trunk_training import Part, train_trunk

        if self.keep < 1 or not len(self.seeds):
            raise ConfigError(f"keep must be >= 1 and seeds not empty, got keep={self.keep}, seeds={self.seeds}")
        config = self.training or TrunkTraining()
        ranges = self._ranges(X.shape[1], rates.shape[1])
        train, self.selection_ = _selection_split(len(X), self._groups, config)
        projections = tuple(fit_projection(X[train], columns, size) for columns, size in ranges)
        Z = np.hstack([projection.apply(X) for projection in projections])
        parts = [Part.of(Z[rows], rates[rows], trials[rows]) for rows in (train, self.selection_)]
        kept = self._keep([train_trunk(parts[0], parts[1], seed, config) for seed in self.seeds])
        self.scorer_ = self._build_scorer(projections, kept, rates)

    def _predict_success(self, X: FloatArray) -> FloatArray:
        return self.scorer_.predict_proba([X])

    def _ranges(self, width: int, n_targets: int) -> list[tuple[tuple[int, int], int]]:
        """Distinct `((start, stop), PCA size)`, in the order of the targets."""
        columns = [(0, width)] if self.columns is None else [(int(a), int(b)) for a, b in self.columns]
        wanted = 1 if self.columns is None else n_targets
        sizes = [self.pca] * len(columns) if isinstance(self.pca, int | np.integer) else list(self.pca)
        if len(columns) != wanted or len(sizes) != wanted:
            raise ConfigError(f"need {wanted} column ranges and PCA sizes, got {len(columns)} and {len(sizes)}")
        if any(not 0 <= start < stop <= width for start, stop in columns) or min(sizes) < 1:
            raise ConfigError(f"column ranges must lie in [0, {width}] and PCA sizes be >= 1, got {columns}, {sizes}")
        return list(dict.fromkeys(zip(columns, map(int, sizes), strict=True)))

    def _keep(self, trained: Sequence[Trained]) -> list[Trained]:
        self.selection_loss_ = np.array([network.loss for network in trained])
        order = np.argsort(self.selection_loss_, kind="stable")[: self.keep]
        self.kept_ = [int(self.seeds[i]) for i in order]
        return [trained[i] for i in order]

    def _build_scorer(
        self, projections: tuple[Projection, ...], kept: list[Trained], labels: FloatArray
    ) -> TrunkScorer:
        one_class = np.nanmin(labels, axis=0) == np.nanmax(labels, axis=0)
        self.one_class_ = np.flatnonzero(one_class)
        base_rate = np.where(one_class, np.nanmean(labels, axis=0), np.nan)
        weights = stack_networks([network.arrays for network in kept])
        K = labels.shape[1]
        return TrunkScorer(self.n_features_in_, projections, weights, base_rate, np.ones(K), np.zeros(K))


def _selection_split(n: int, groups: NDArray[Any] | None, config: TrunkTraining) -> tuple[IntArray, IntArray]:
    options = {"n_splits": 1, "test_size": config.selection_share, "random_state": config.selection_seed}
    splitter = ShuffleSplit(**options) if groups is None else GroupShuffleSplit(**options)
    try:
        train, selection = next(splitter.split(np.zeros(n), groups=groups))
    except ValueError as error:
        raise DataError(f"cannot hold out {config.selection_share:.0%} of {n} rows for selection: {error}") from error
    return np.sort(train), np.sort(selection)
