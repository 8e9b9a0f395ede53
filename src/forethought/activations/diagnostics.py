"""Layer diagnostics: one row a layer, readout and target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from forethought.activations.components import FloatArray, Scaling, principal_scores
from forethought.activations.fisher import Fisher, fisher_separability, within_group_fisher
from forethought.activations.geometry import anisotropy, effective_dimension
from forethought.errors import ConfigError, DataError, FeatureError

if TYPE_CHECKING:
    from forethought.activations.store import ActivationStore
    from forethought.outcomes import Labels

CvAuc = Callable[[FloatArray, FloatArray], Sequence[float] | FloatArray]
"""Features (n, d) and success (n, K) to a cross-validated AUROC a target, (K,)."""

_SCALINGS: tuple[Scaling, ...] = ("raw", "centred", "standardised")


class Geometry(NamedTuple):
    """One quantity raw, centred and standardised."""

    raw: float
    centred: float
    standardised: float


class LayerRow(NamedTuple):
    """What one layer and readout shows about one target.

    Attributes:
        layer: 0 is the embeddings.
        fisher: J, unweighted, with its permutation null; None where a class has fewer than two rows.
        trace_ratio: The same as a trace ratio.
        within: J inside groups; None without groups, or where no group has both classes twice.
        effective_dimension: Corrected for finite n; the same for every target.
        anisotropy: Mean cosine of two questions; the same for every target.
        cv_auc: Cross-validated AUROC, NaN where none was asked for.
    """

    layer: int
    readout: str
    target: str
    fisher: Fisher | None
    trace_ratio: Fisher | None
    within: Fisher | None
    effective_dimension: Geometry
    anisotropy: Geometry
    cv_auc: float


def layer_report(
    store: ActivationStore,
    labels: Labels,
    *,
    readouts: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    cv_auc: CvAuc | None = None,
    pca: int = 100,
    permutations: int = 200,
) -> list[LayerRow]:
    """Diagnose every stored layer and readout for every target; training rows only, so that nothing leaks.

    Both J are bias-corrected and taken on the same number of principal components at every layer
    (fewer only where the layer's rank is smaller), for J depends on that number.

    Args:
        store: Activations of at least the labelled questions.
        labels: Success (n, K), NaN where missing.
        readouts: Of the store; all by default.
        groups: Family of each labelled question, for J within families.
        cv_auc: Cross-validated AUROC of features, asked once a layer and readout.
        pca: Principal components.
        permutations: Behind each null.

    Returns:
        Rows ordered by readout, layer, target.

    Raises:
        ConfigError: `pca` below 1 or `permutations` below 0.
        DataError: Groups of another length than the labels.
        FeatureError: A labelled question that is not stored.
    """
    if pca < 1 or permutations < 0:
        raise ConfigError(f"pca must be >= 1 and permutations >= 0, got {pca} and {permutations}")
    if groups is not None and len(groups) != len(labels.question_ids):
        raise DataError(f"{len(groups)} groups for {len(labels.question_ids)} labelled questions; one each is needed")
    return [
        row
        for readout in readouts or store.readouts
        for layer in store.layers
        for row in _rows_of(store, labels, (layer, readout), _Test(groups, cv_auc, pca, permutations))
    ]


class _Test(NamedTuple):
    groups: Sequence[str] | None
    cv_auc: CvAuc | None
    pca: int
    permutations: int


def _rows_of(store: ActivationStore, labels: Labels, place: tuple[int, str], test: _Test) -> Iterator[LayerRow]:
    layer, readout = place
    X = store.block((layer,), readout, labels.question_ids).values.astype(np.float64)
    scores = principal_scores(X, test.pca)
    dimension = Geometry(*(effective_dimension(X, scaling=scaling) for scaling in _SCALINGS))
    cosine = Geometry(*(_cosine(X, scaling) for scaling in _SCALINGS))
    auc = [float("nan")] * len(labels.targets) if test.cv_auc is None else test.cv_auc(X, labels.success)
    for k, target in enumerate(labels.targets):
        fishers = _fishers(scores, labels.success[:, k], test)
        yield LayerRow(layer, readout, target, *fishers, dimension, cosine, float(auc[k]))


def _fishers(scores: FloatArray, y: FloatArray, test: _Test) -> tuple[Fisher | None, Fisher | None, Fisher | None]:
    try:
        plain = fisher_separability(scores, y, permutations=test.permutations)
        ratio = fisher_separability(scores, y, kind="trace_ratio", permutations=test.permutations)
    except DataError:  # one class: there is nothing to separate
        return None, None, None
    if test.groups is None:
        return plain, ratio, None
    try:
        within = within_group_fisher(scores, y, np.asarray(test.groups), permutations=test.permutations)
    except DataError:  # every group has one class
        return plain, ratio, None
    return plain, ratio, within


def _cosine(X: FloatArray, scaling: Scaling) -> float:
    """Anisotropy, NaN where a row has no direction (an end token's embedding, which never varies)."""
    try:
        return anisotropy(X, scaling=scaling)
    except FeatureError:
        return float("nan")
