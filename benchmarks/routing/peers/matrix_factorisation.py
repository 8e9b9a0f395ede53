"""Matrix factorisation: EmbedLLM (arXiv 2410.02223); RouteLLM's mf (arXiv 2406.18665) is its pairwise form."""

from __future__ import annotations

from dataclasses import dataclass

from crossfit import Array, View
from splits import Rows
from torch import Tensor, nn

from peers.descent import fit_and_predict


class Factors(nn.Module):
    """logit = w . (v_k * P x) + b: a target's embedding times the projected question, then one linear map."""

    def __init__(self, width: int, targets: int, rank: int) -> None:
        super().__init__()
        self.question = nn.Linear(width, rank)
        self.target = nn.Embedding(targets, rank)
        self.classifier = nn.Linear(rank, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.question(x)[:, None] * self.target.weight).squeeze(-1)


@dataclass(frozen=True)
class MatrixFactorisation:
    """EmbedLLM's model on sentence embeddings; its paper's width of 232 is for 112 targets."""

    rank: int = 64
    seed: int = 0
    kind = "text"
    name = "matrix factorisation (EmbedLLM)"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        return fit_and_predict(lambda width, targets: Factors(width, targets, self.rank), view, train, test, self.seed)
