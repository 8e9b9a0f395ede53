"""Which layer, readout and PCA size a probe reads, chosen on training rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from forethought.errors import ConfigError, DataError, FeatureError
from forethought.probes.base import FloatArray, IntArray
from forethought.probes.cv_auc import cross_validated_auc, nan_mean, principal_axes
from forethought.probes.layer_mean import LayerMean

Strategy: TypeAlias = Literal["fisher", "cv_auc", "exhaustive", "all_layers"]
Fusion: TypeAlias = Literal["single", "concatenate", "mean"]
Blocks: TypeAlias = Mapping[tuple[int, str], NDArray[Any]]


@dataclass(frozen=True)
class LayerSearch:
    """What is tried at each layer and readout.

    Attributes:
        sizes: PCA sizes (arXiv 2603.20895's code: 50 to 300).
        penalties: Inverse penalties C that `exhaustive` tries; the other strategies take C = 1,
            as the code does.
        fisher_size: PCA size for J, one for all layers: J falls as dimensions of noise are added,
            so layers at different sizes cannot be compared.
    """

    sizes: tuple[int, ...] = (50, 100, 150, 200, 300)
    penalties: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    fisher_size: int = 100

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1 or self.fisher_size < 1:
            raise ConfigError(f"PCA sizes must be >= 1, got {self.sizes} and fisher_size={self.fisher_size}")
        if not self.penalties or min(self.penalties) <= 0:
            raise ConfigError(f"penalties C must be > 0, got {self.penalties}")


class LayerPick(NamedTuple):
    """A readout of one layer, or of several fused, and the best probe setting on it.

    Attributes:
        layers: Layers read, ascending.
        readout: Readout read.
        fusion: `single` layer, `concatenate`d layers, or `mean` of standardised ones (`LayerMean`).
        pca: PCA size; `C` the inverse penalty.
        cv_auc: Mean AUROC over folds; for the shared pick its mean over targets.
        J: Fisher separability, bias-corrected, the same way; NaN for fused layers.
    """

    layers: tuple[int, ...]
    readout: str
    fusion: Fusion
    pca: int
    C: float
    cv_auc: float
    J: float


@dataclass(frozen=True)
class LayerChoice:
    """What was chosen, and the whole table behind it.

    Attributes:
        strategy: How.
        shared: Best single choice for all targets together.
        per_target: Best choice for each of K targets; the shared one where a target has one class.
        table: K tuples: for each target, one row for each layer and readout at its best setting.
        rank_correlation: `(K,)` Spearman correlation of J and CV-AUC over layers, averaged over
            readouts; NaN below three layers. The paper's claim that J finds the layer, tested.
    """

    strategy: Strategy
    shared: LayerPick
    per_target: tuple[LayerPick, ...]
    table: tuple[tuple[LayerPick, ...], ...]
    rank_correlation: FloatArray


class _Candidate(NamedTuple):
    layers: tuple[int, ...]
    readout: str
    fusion: Fusion


def choose_layers(
    blocks: Blocks, Y: ArrayLike, strategy: Strategy, folds: ArrayLike, search: LayerSearch | None = None
) -> LayerChoice:
    """Choose where to read, for all targets together and for each alone.

    `fisher` takes the layer of the highest J (the paper); `cv_auc` the highest cross-validated
    AUROC over layer, readout and PCA size (the released code); `exhaustive` also over the penalty;
    `all_layers` fuses every layer of a readout and chooses readout and kind of fusion. The code
    looks for the layer by ternary search, which assumes that AUROC has one peak over layers and
    can miss the best; at <= 64 layers trying each costs little, so each is tried. Equals go to
    the lowest layer, which is the shortest prefill.

    Args:
        blocks: `(layer, readout)` -> features `(n, d)` of the training rows.
        Y: Success rates `(n, K)` or `(n,)`, NaN where missing.
        strategy: See above.
        folds: Fold of each row `(n,)`, components kept together.
        search: Sizes and penalties; None is `LayerSearch()`.

    Raises:
        ConfigError: Unknown strategy.
        DataError: Shapes disagree, fewer than two folds, or no target with both classes.
        FeatureError: A block has NaN or infinite values, or another number of rows.
    """
    search = search or LayerSearch()
    labels, fold = _check(blocks, Y, folds, strategy)
    candidates = _fused(blocks) if strategy == "all_layers" else _single(blocks)
    Cs = search.penalties if strategy == "exhaustive" else (1.0,)
    auc = np.stack([cross_validated_auc(X, labels, fold, search.sizes, Cs) for X in candidates.values()])
    if np.isnan(auc).all():
        raise DataError("no target has both classes in any fold, so no layer can be preferred")
    J = np.full((len(candidates), labels.shape[1]), np.nan)
    if strategy != "all_layers":
        J = np.stack([_separability(X, labels, search) for X in candidates.values()])
    return _Chooser(tuple(candidates), search.sizes, Cs, auc, J, strategy).choice()


@dataclass(frozen=True)
class _Chooser:
    """Scores of every candidate: `auc (B, sizes, Cs, K)` and `J (B, K)`."""

    candidates: tuple[_Candidate, ...]
    sizes: Sequence[int]
    Cs: Sequence[float]
    auc: FloatArray
    J: FloatArray
    strategy: Strategy

    def choice(self) -> LayerChoice:
        shared = self._best(nan_mean(self.auc, axis=-1), nan_mean(self.J, axis=-1))
        table, per_target = [], []
        for k in range(self.J.shape[1]):
            auc, J = self.auc[..., k], self.J[:, k]
            table.append(tuple(self._at(b, auc, J) for b in range(len(self.candidates))))
            per_target.append(shared if np.isnan(auc).all() else self._best(auc, J))
        return LayerChoice(self.strategy, shared, tuple(per_target), tuple(table), self._rank_correlation(table))

    def _best(self, auc: FloatArray, J: FloatArray) -> LayerPick:
        by_fisher = self.strategy == "fisher" and not np.isnan(J).all()
        score = J if by_fisher else np.nan_to_num(auc, nan=-np.inf).max(axis=(1, 2))
        return self._at(int(np.nanargmax(score)), auc, J)

    def _at(self, b: int, auc: FloatArray, J: FloatArray) -> LayerPick:
        """Candidate b at its best size and penalty."""
        s, c = np.unravel_index(np.nan_to_num(auc[b], nan=-np.inf).argmax(), auc[b].shape)
        return LayerPick(*self.candidates[b], self.sizes[s], self.Cs[c], float(auc[b, s, c]), float(J[b]))

    def _rank_correlation(self, table: Sequence[Sequence[LayerPick]]) -> FloatArray:
        readouts = sorted({candidate.readout for candidate in self.candidates})
        values = [[_spearman([row for row in rows if row.readout == r]) for r in readouts] for rows in table]
        return nan_mean(np.array(values), axis=1)


def _spearman(rows: Sequence[LayerPick]) -> float:
    J, auc = (np.array([getattr(row, name) for row in rows]) for name in ("J", "cv_auc"))
    present = ~(np.isnan(J) | np.isnan(auc))
    if present.sum() < 3 or np.ptp(J[present]) == 0 or np.ptp(auc[present]) == 0:
        return float("nan")
    return float(spearmanr(J[present], auc[present]).statistic)


def _separability(X: NDArray[Any], Y: FloatArray, search: LayerSearch) -> FloatArray:
    """Bias-corrected J `(K,)` on PCA scores of all rows; NaN where a target has one class."""
    from forethought.activations import fisher_separability

    scores = principal_axes(X, search.fisher_size).scores(X)
    J = np.full(Y.shape[1], np.nan)
    for k in range(Y.shape[1]):
        present = ~np.isnan(Y[:, k])
        right = Y[present, k] > 0.5
        if 2 <= right.sum() <= len(right) - 2:
            J[k] = fisher_separability(scores[present], right.astype(np.float64)).J
    return J


def _single(blocks: Blocks) -> dict[_Candidate, NDArray[Any]]:
    return {_Candidate((layer,), readout, "single"): blocks[layer, readout] for layer, readout in sorted(blocks)}


def _fused(blocks: Blocks) -> dict[_Candidate, NDArray[Any]]:
    fused: dict[_Candidate, NDArray[Any]] = {}
    for readout in sorted({readout for _, readout in blocks}):
        layers = tuple(sorted(layer for layer, r in blocks if r == readout))
        X = np.hstack([blocks[layer, readout] for layer in layers])
        fused[_Candidate(layers, readout, "mean")] = LayerMean(len(layers)).fit_transform(X)
        fused[_Candidate(layers, readout, "concatenate")] = X
    return fused


def _check(blocks: Blocks, Y: ArrayLike, folds: ArrayLike, strategy: str) -> tuple[FloatArray, IntArray]:
    if strategy not in ("fisher", "cv_auc", "exhaustive", "all_layers"):
        raise ConfigError(f"strategy must be fisher, cv_auc, exhaustive or all_layers, got {strategy!r}")
    labels, fold = np.asarray(Y, dtype=np.float64), np.asarray(folds)
    labels = labels[:, None] if labels.ndim == 1 else labels
    if not blocks or labels.ndim != 2 or fold.shape != labels.shape[:1] or len(np.unique(fold)) < 2:
        raise DataError(
            f"need blocks, labels (n, K) and n fold numbers of two folds or more, got {len(blocks)} blocks, "
            f"labels {labels.shape} and folds {fold.shape}"
        )
    for key, X in blocks.items():
        if X.ndim != 2 or len(X) != len(labels) or not np.isfinite(X).all():
            raise FeatureError(f"block {key} must be a finite array of {len(labels)} rows, got shape {X.shape}")
    return labels, fold
