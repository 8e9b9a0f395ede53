"""NVIDIA's prefill recipe (arXiv 2603.20895 and its released code): per-target layer, PCA, one trunk, ten seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from crossfit import Array, View
from extract import DEPTHS
from splits import Rows

from forethought.probes import SharedTrunkNet, choose_layers

RECIPE = "NVIDIA's recipe"

TOLERANCE = 0.20
"""Of its rule: the cheapest target within this of the likeliest one's probability."""


@dataclass(frozen=True)
class Nvidia:
    """Layer, readout and PCA size of each target by cross-validated AUROC over the deeper half; 256-128; keep 5 of 10.

    The released code's ternary search over layers is replaced by trying each that is stored, and its 800 repeated
    inputs where targets agree on a transform by that transform once.
    """

    encoder: str
    kind = "activations"

    @property
    def name(self) -> str:
        return f"{RECIPE} on {self.encoder}"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        features, table = view.features, view.table
        deeper = [layer for layer in features.layers(self.encoder) if 2 * layer >= DEPTHS[self.encoder]]
        read = [(layer, readout) for layer in deeper for readout in ("mean", "last")]
        blocks = {key: features.block(table, self.encoder, *key) for key in read}
        # Two halves instead of five folds: the search is two thirds of the recipe's time even so.
        halves = np.unique(view.split.fold[train], return_inverse=True)[1] % 2
        choice = choose_layers({key: X[train] for key, X in blocks.items()}, table.success[train], "cv_auc", halves)
        width = next(iter(blocks.values())).shape[1]
        start = {key: i * width for i, key in enumerate(blocks)}
        picks = [(start[pick.layers[0], pick.readout], pick.pca) for pick in choice.per_target]
        model = SharedTrunkNet(pca=[size for _, size in picks], columns=[(at, at + width) for at, _ in picks])
        X = np.hstack(list(blocks.values()))
        return model.fit(X[train], table.success[train], groups=view.split.component[train]).predict_success(X[test])
