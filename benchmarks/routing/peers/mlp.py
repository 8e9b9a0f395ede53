"""A multi-layer perceptron on sentence embeddings, one output a target."""

from __future__ import annotations

from dataclasses import dataclass

from crossfit import Array, View
from splits import Rows
from torch import nn

from peers.descent import fit_and_predict


def perceptron(width: int, targets: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 100), nn.ReLU(), nn.Dropout(0.2), nn.Linear(100, targets))


@dataclass(frozen=True)
class Mlp:
    """100 hidden units, as RouterBench's (arXiv 2403.12031)."""

    seed: int = 0
    kind = "text"
    name = "MLP on MiniLM"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        return fit_and_predict(perceptron, view, train, test, self.seed)
