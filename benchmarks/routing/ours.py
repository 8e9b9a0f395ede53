"""This project's routers: heads over prefill activations of two encoders, alone, together, and with text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from crossfit import Array, View
from features import Block
from splits import Rows

from forethought.probes import AveragedHead, SharedTrunkNet, StackedHead, TokenHead

SMOL, GEMMA = "smollm2-135m-instruct", "gemma-3-270m"
ACTIVATIONS = {
    "smollm2": ((SMOL, "mean"), (SMOL, "last")),
    "gemma": ((GEMMA, "mean"), (GEMMA, "last")),
}
TEXT = ("minilm", "tfidf")


@dataclass(frozen=True)
class Ours:
    """One of the project's heads on some blocks of features.

    Activations are the mean of three standardised layers around three fifths of the depth, so that no layer is chosen.

    Args:
        head: `average` and `stack` fit shared-and-residual ridges on each block; `trunk` is SharedTrunkNet.
        reads: Of `smollm2`, `gemma`, `text`.
        repeated: Learn from success rates over repeated samples of the same targets where the source has them.
    """

    head: Literal["average", "stack", "trunk"]
    reads: tuple[str, ...]
    repeated: bool = False

    @property
    def kind(self) -> str:
        kinds = {"text" if name == "text" else "activations" for name in self.reads}
        return kinds.pop() if len(kinds) == 1 else "both"

    @property
    def name(self) -> str:
        title = {"average": "averaged head", "stack": "stacked head", "trunk": "SharedTrunkNet"}[self.head]
        return f"{title}: {' + '.join(self.reads)}" + (", repeated samples" if self.repeated else "")

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        blocks = self.blocks(view)
        learn, ask = [block[train] for block in blocks], [block[test] for block in blocks]
        Y, trials = self._labels(view, train)
        fold = view.split.fold[train]
        match self.head:
            case "average":
                return AveragedHead().fit(learn, Y, fold, trials).predict_proba(ask)
            case "stack":
                return StackedHead().fit(learn, Y, fold, trials).predict_proba(ask)
            case "trunk":
                net = SharedTrunkNet(100).fit(np.hstack(learn), Y, trials, view.split.component[train])
                return net.predict_proba(np.hstack(ask))

    def blocks(self, view: View) -> list[Block]:
        """What the head reads of every question, one (n, d) array a block."""
        features, table, blocks = view.features, view.table, []
        for name in self.reads:
            if name == "text":
                blocks += [features.embedding(table), features.tfidf(table)]
            else:
                blocks += [features.layer_mean(table, *read) for read in ACTIVATIONS[name]]
        return blocks

    def _labels(self, view: View, train: Rows) -> tuple[Array, Array | None]:
        """Success and its trials; a rate over repeated samples counts as that many."""
        Y = view.table.success[train]
        if not self.repeated:
            return Y, None
        rates, samples = view.auxiliary.rates[train], view.auxiliary.samples
        known = ~np.isnan(rates)
        trials = 1.0 + np.where(known, samples, 0.0)
        return (Y + np.where(known, samples * np.nan_to_num(rates), 0.0)) / trials, trials


@dataclass(frozen=True)
class CostHead:
    """Expected USD of each target's answer from the prefill: `TokenHead` on costs in place of tokens."""

    kind = "cost"
    name = "cost head"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        assert view.table.cost is not None
        X = np.hstack([view.features.layer_mean(view.table, *read) for read in ACTIVATIONS["smollm2"]])
        # The head's log(1 + tokens) is made for counts: a mean answer counts as a thousand.
        unit = view.table.cost[train].mean() / 1000
        return TokenHead().fit(X[train], view.table.cost[train] / unit).predict(X[test]) * unit
