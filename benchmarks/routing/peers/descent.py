"""Full-batch Adam on a small differentiable model, its steps chosen on held-out rows: what three peers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
    """Fit a model of embeddings to success by binary cross-entropy.

    One inner fold says how many steps to take; the model that predicts takes them on all rows.

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
    every, stop = torch.from_numpy(train), torch.from_numpy(fold == fold.max())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learn, look = every[~stop], every[stop]
        steps = _best_steps(make(X.shape[1], Y.shape[1]), (X[learn], Y[learn]), (X[look], Y[look]))
        torch.manual_seed(seed)
        model = make(X.shape[1], Y.shape[1])
        for _ in _descent(model, X[every], Y[every], steps):
            pass
    model.eval()
    with torch.inference_mode():
        return np.asarray(torch.sigmoid(model(X[torch.from_numpy(test)])), dtype=np.float64)


def _best_steps(model: nn.Module, learn: tuple[Tensor, Tensor], look: tuple[Tensor, Tensor]) -> int:
    """Steps with the least loss on the rows looked at, after patience has run out."""
    best, kept, stale = float("inf"), 1, 0
    for step in _descent(model, *learn, MOST_STEPS):
        if step % LOOK_EVERY:
            continue
        model.eval()
        with torch.no_grad():
            loss = float(binary_cross_entropy_with_logits(model(look[0]), look[1]))
        if loss < best - 1e-5:
            best, kept, stale = loss, step, 0
        elif (stale := stale + 1) == PATIENCE:
            break
    return kept


def _descent(model: nn.Module, X: Tensor, Y: Tensor, steps: int) -> Iterator[int]:
    """Take steps, yielding how many were taken."""
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, foreach=True)
    for step in range(1, steps + 1):
        model.train()
        optimiser.zero_grad()
        binary_cross_entropy_with_logits(model(X), Y).backward()
        optimiser.step()
        yield step
