"""IRT-Router's MIRT (arXiv 2506.01048): abilities of targets against discriminations read from the question."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from crossfit import Array, View
from splits import Rows
from torch import Tensor, nn
from torch.nn.functional import softplus

from peers.descent import fit_and_predict


class Mirt(nn.Module):
    """logit = a(x) . theta_k - b(x), with a(x) > 0 and both linear in the question's embedding."""

    def __init__(self, width: int, targets: int, dimensions: int) -> None:
        super().__init__()
        self.ability = nn.Parameter(0.1 * torch.randn(targets, dimensions))
        self.discrimination = nn.Linear(width, dimensions)
        self.difficulty = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return softplus(self.discrimination(x)) @ self.ability.T - self.difficulty(x)


@dataclass(frozen=True)
class ItemResponse:
    """MIRT on sentence embeddings."""

    dimensions: int = 25
    seed: int = 0
    kind = "text"
    name = "item response (MIRT)"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        return fit_and_predict(
            lambda width, targets: Mirt(width, targets, self.dimensions), view, train, test, self.seed
        )
