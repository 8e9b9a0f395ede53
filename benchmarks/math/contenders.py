"""Everything that predicts the seven targets: fitted on training rows, penalties and layers by inner folds alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from table import LAYERS, READOUTS, Array, Table

from forethought.probes import (
    LengthProbe,
    LogisticHeads,
    NearestNeighbours,
    PlattCalibrator,
    SharedResidualRidge,
    StackedHead,
    TfidfFeatures,
    TfidfProbe,
    choose_layers,
    out_of_fold,
    text_lengths,
)

Rows = NDArray[np.intp]


class Split(NamedTuple):
    """One fold: rows fitted on, their inner folds, rows predicted, and the layer chosen for each readout."""

    train: Rows
    inner: Rows
    test: Rows
    layers: Mapping[str, int]


PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)
"""Inverse penalties of the separate heads; weaker ones fit for minutes and overfit 576 features."""

Contender = Callable[[Table, Split], Array]
"""Predicts P(success) of the test rows, (n_test, K)."""


def chosen_layers(table: Table, train: Rows, inner: Rows) -> dict[str, int]:
    """The layer with the best cross-validated AUROC of each readout, on training rows."""
    layers = {}
    for readout in READOUTS:
        blocks = {(layer, readout): table.block(layer, readout)[train] for layer in LAYERS if layer}
        (layers[readout],) = choose_layers(blocks, table.success[train], "cv_auc", inner).shared.layers
    return layers


def length(table: Table, split: Split) -> Array:
    X = text_lengths(table.texts)
    return LengthProbe().fit(X[split.train], table.success[split.train]).predict_success(X[split.test])


def level(table: Table, split: Split) -> Array:
    return few_features(table.level, table, split)


def level_and_subject(table: Table, split: Split) -> Array:
    return few_features(np.hstack([table.level, table.subject]), table, split)


def tfidf(table: Table, split: Split) -> Array:
    train = [table.texts[row] for row in split.train]
    probe = TfidfProbe().fit(train, table.success[split.train], folds=split.inner)
    return probe.predict_proba([table.texts[row] for row in split.test])


def neighbours(table: Table, split: Split) -> Array:
    X = table.block(0, "mean")
    return NearestNeighbours().fit(X[split.train], table.success[split.train]).predict_success(X[split.test])


def activations_logistic(table: Table, split: Split) -> Array:
    """Separate heads, each with the C of its best AUROC, and calibrated: AUROC does not see the scale, routing does."""
    X, Y = table.block(split.layers["mean"], "mean"), table.success[split.train]
    heads = partial(LogisticHeads, Cs=PENALTIES)
    calibrator = PlattCalibrator().fit(logit(out_of_fold(heads, X[split.train], Y, split.inner)), Y)
    fitted = heads().fit(X[split.train], Y, folds=split.inner)
    return calibrator.transform(logit(fitted.predict_success(X[split.test])))


def ridge(table: Table, split: Split, readout: str) -> Array:
    X = table.block(split.layers[readout], readout)
    model = SharedResidualRidge().fit(X[split.train], table.success[split.train], folds=split.inner)
    return model.predict(X[split.test])


def stack(table: Table, split: Split, *, activations: bool, text: bool) -> Array:
    """The router's default head, over activations, text or both."""
    blocks = [table.block(split.layers[readout], readout) for readout in READOUTS] if activations else []
    if text:
        features = TfidfFeatures().fit([table.texts[row] for row in split.train])
        blocks.append(features.transform(table.texts))
    head = StackedHead().fit([block[split.train] for block in blocks], table.success[split.train], split.inner)
    return head.predict_proba([block[split.test] for block in blocks])


def own_probes(table: Table, split: Split) -> Array:
    """The targets' own probes, recorded, recalibrated jointly: seven logits into seven heads."""
    return few_features(table.own, table, split)


def few_features(X: Array, table: Table, split: Split) -> Array:
    """Logistic heads on so few features that no penalty has to be chosen."""
    heads = LogisticHeads(Cs=(1.0,)).fit(X[split.train], table.success[split.train])
    return heads.predict_success(X[split.test])


def logit(p: Array) -> Array:
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


TEXT: Mapping[str, Contender] = {
    "length": length,
    "tfidf": tfidf,
    "tfidf_stack": partial(stack, activations=False, text=True),
    "neighbours": neighbours,
}
"""What a router without activations could use: the question alone."""

CONTENDERS: Mapping[str, Contender] = {
    **TEXT,
    "level": level,
    "level_and_subject": level_and_subject,
    "logistic": activations_logistic,
    "ridge_mean": partial(ridge, readout="mean"),
    "ridge_last": partial(ridge, readout="last"),
    "probe": partial(stack, activations=True, text=False),
    "probe_and_text": partial(stack, activations=True, text=True),
    "own_probes": own_probes,
}
