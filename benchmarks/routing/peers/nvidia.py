"""NVIDIA's prefill recipe (arXiv 2603.20895 and its released code): per-target layer, PCA, one trunk, ten seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from crossfit import Array, View
from splits import Rows

from forethought.probes import SharedTrunkNet, choose_layers


@dataclass(frozen=True)
class Nvidia:
    """Layer, readout and PCA size of each target by cross-validated AUROC over the deeper half; 256-128; keep 5 of 10.

    The released code's ternary search over layers is replaced by trying each, and its 800 repeated inputs where
    targets agree on a transform by that transform once.
    """

    encoder: str
    kind = "activations"

    @property
    def name(self) -> str:
        return f"NVIDIA's recipe on {self.encoder}"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        features, table = view.features, view.table
        layers = features.layers(self.encoder)
        read = [(layer, readout) for layer in layers[len(layers) // 2 :] for readout in ("mean", "last")]
        blocks = {key: features.block(table, self.encoder, *key) for key in read}
        # Two of the inner folds' worth of refits choose as well as five and cost two fifths.
        halves = view.split.fold[train] % 2
        choice = choose_layers({key: X[train] for key, X in blocks.items()}, table.success[train], "cv_auc", halves)
        width = next(iter(blocks.values())).shape[1]
        start = {key: i * width for i, key in enumerate(blocks)}
        picks = [(start[pick.layers[0], pick.readout], pick.pca) for pick in choice.per_target]
        model = SharedTrunkNet(pca=[size for _, size in picks], columns=[(at, at + width) for at, _ in picks])
        X = np.hstack(list(blocks.values()))
        return model.fit(X[train], table.success[train], groups=view.split.component[train]).predict_success(X[test])
