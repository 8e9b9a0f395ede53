"""CARROT (arXiv 2502.03261): plug-in estimates of success and of cost, both by nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from crossfit import Array, View
from sklearn.neighbors import KNeighborsRegressor
from splits import Rows

from peers.knn import Neighbours

NEIGHBOURS = 256


@dataclass(frozen=True)
class Carrot:
    """Success by tuned neighbours; what sets CARROT apart is `NeighbourCost`, which its operating points use."""

    kind = "text"
    name = "CARROT (kNN)"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        return Neighbours().predict(view, train, test)


@dataclass(frozen=True)
class NeighbourCost:
    """Expected USD of each target's answer: the mean over the nearest training questions."""

    kind = "cost"
    name = "cost by neighbours"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        assert view.table.cost is not None
        X = view.features.embedding(view.table)
        model = KNeighborsRegressor(min(NEIGHBOURS, len(train) // 4), metric="cosine", algorithm="brute")
        return model.fit(X[train], view.table.cost[train]).predict(X[test])
