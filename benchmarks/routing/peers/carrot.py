"""CARROT (arXiv 2502.03261): plug-in estimates of success and of cost, here both by nearest neighbours.

Its success is `Neighbours`'; what sets it apart is its cost, with which its operating point is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfit import Array, View
from sklearn.neighbors import KNeighborsRegressor
from splits import Rows

CARROT = "CARROT (kNN)"

NEIGHBOURS = 256


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
