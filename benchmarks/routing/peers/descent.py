"""Full-batch Adam on a small differentiable model, stopped on held-out rows: what three peers share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from crossfit import Array, View
from splits import Rows
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

LEARNING_RATE = 1e-2
MOST_STEPS = 400
LOOK_EVERY = 10
PATIENCE = 5


def fit_and_predict(make: Callable[[int, int], nn.Module], view: View, train: Rows, test: Rows, seed: int) -> Array:
    """Fit a model of embeddings to success by binary cross-entropy; one inner fold stops it.

    Args:
        make: From the embeddings' width and the number of targets to a module that gives logits (n, K).
        view: Read for embeddings and labels.
        train: Rows to learn from, the stopping fold among them.
        test: Rows to predict.
        seed: Draws the initial weights.
    """
    X = torch.tensor(view.features.embedding(view.table), dtype=torch.float32)
    Y = torch.tensor(view.table.success, dtype=torch.float32)
    fold = view.split.fold[train]
    stop = fold == fold.max()
    learn, look = torch.from_numpy(train[~stop]), torch.from_numpy(train[stop])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _descend(make(X.shape[1], Y.shape[1]), (X[learn], Y[learn]), (X[look], Y[look]))
    with torch.inference_mode():
        return np.asarray(torch.sigmoid(model(X[torch.from_numpy(test)])), dtype=np.float64)


def _descend(model: nn.Module, learn: tuple[Tensor, Tensor], look: tuple[Tensor, Tensor]) -> nn.Module:
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, foreach=True)
    best, kept, stale = float("inf"), model.state_dict(), 0
    for step in range(MOST_STEPS):
        model.train()
        optimiser.zero_grad()
        binary_cross_entropy_with_logits(model(learn[0]), learn[1]).backward()
        optimiser.step()
        if step % LOOK_EVERY:
            continue
        model.eval()
        with torch.no_grad():
            loss = float(binary_cross_entropy_with_logits(model(look[0]), look[1]))
        if loss < best - 1e-5:
            best, stale = loss, 0
            kept = {name: value.clone() for name, value in model.state_dict().items()}
        elif (stale := stale + 1) == PATIENCE:
            break
    model.load_state_dict(kept)
    return model.eval()
