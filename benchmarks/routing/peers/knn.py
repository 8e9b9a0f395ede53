"""Tuned nearest neighbours (arXiv 2505.12601): matches or beats learned routers, says its paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from crossfit import Array, View
from splits import Rows

from forethought.probes import NearestNeighbours

KS = (5, 10, 20, 50, 100, 200, 400)


@dataclass(frozen=True)
class Neighbours:
    """The project's `NearestNeighbours` on sentence embeddings, or on an encoder's activations."""

    encoder: str | None = None
    layer: int = 0
    readout: Literal["mean", "last"] = "mean"

    @property
    def kind(self) -> str:
        return "text" if self.encoder is None else "activations"

    @property
    def name(self) -> str:
        return "kNN on MiniLM" if self.encoder is None else f"kNN on {self.encoder} {self.readout}"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        if self.encoder is None:
            X = view.features.embedding(view.table)
        else:
            X = view.features.block(view.table, self.encoder, self.layer, self.readout)
            # Some dimensions of a residual stream are hundreds of times the others; cosine would see them alone.
            X = (X - X[train].mean(axis=0)) / np.maximum(X[train].std(axis=0), 1e-6)
        model = NearestNeighbours(ks=KS).fit(X[train], view.table.success[train], groups=view.split.fold[train])
        return model.predict_success(X[test])
