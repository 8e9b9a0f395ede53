"""The training loop of SharedTrunkNet: the only module of this package that needs torch."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

if TYPE_CHECKING:
    from forethought.probes.trunk_config import TrunkTraining


class Part(NamedTuple):
    """Inputs `(n, p)`, success rates and their weights `(n, K)`, weight 0 where missing, as tensors."""

    Z: torch.Tensor
    Y: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def of(cls, Z: NDArray[Any], Y: NDArray[Any], weight: NDArray[Any]) -> Part:
        """Copy arrays to single-precision tensors."""
        return cls(*(torch.tensor(part, dtype=torch.float32) for part in (Z, np.nan_to_num(Y), weight)))

    def loss(self, network: nn.Module, rows: torch.Tensor | slice = slice(None)) -> torch.Tensor:
        """Binary cross-entropy, mean over the answers that are there; zero where none is."""
        logits, weight = network(self.Z[rows]), self.weight[rows]
        terms = nn.functional.binary_cross_entropy_with_logits(logits, self.Y[rows], weight, reduction="sum")
        return terms / weight.sum().clamp(min=1e-9)


class Trained(NamedTuple):
    """One member of the ensemble: its arrays, its loss on the selection rows, epochs run."""

    arrays: list[NDArray[Any]]
    loss: float
    epochs: int


def train_trunk(train: Part, selection: Part, seed: int, config: TrunkTraining) -> Trained:
    """Train one network and restore its best weights on the selection rows.

    The global random state is put back afterwards; the number of threads is never touched.

    Args:
        train: Rows to learn from.
        selection: Rows that stop the training; the same for every seed.
        seed: Draws the initial weights, the batches and the dropout.
        config: Architecture and optimiser settings.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_trunk(train.Z.shape[1], train.Y.shape[1], config)
        loss, epochs = _fit(network, train, selection, config)
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    arrays = [part for layer in linear for part in (layer.weight.detach().numpy().T, layer.bias.detach().numpy())]
    return Trained(arrays, loss, epochs)


def build_trunk(n_inputs: int, n_targets: int, config: TrunkTraining) -> nn.Sequential:
    """Return trunk and heads: Linear-ReLU-Dropout twice, then one logit per target."""
    (first, second), (drop1, drop2) = config.hidden, config.dropout
    return nn.Sequential(
        nn.Linear(n_inputs, first),
        nn.ReLU(),
        nn.Dropout(drop1),
        nn.Linear(first, second),
        nn.ReLU(),
        nn.Dropout(drop2),
        nn.Linear(second, n_targets),
    )


def _fit(network: nn.Sequential, train: Part, selection: Part, config: TrunkTraining) -> tuple[float, int]:
    optimiser = torch.optim.Adam(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, foreach=True
    )
    best, best_weights, stale, epoch = np.inf, deepcopy(network.state_dict()), 0, 0
    for epoch in range(1, config.max_epochs + 1):  # noqa: B007
        _epoch(network, train, optimiser, config.batch_size)
        loss = _loss(network, selection)
        if loss < best - config.min_delta:
            best, best_weights, stale = loss, deepcopy(network.state_dict()), 0
        else:
            stale += 1
        if stale >= config.patience:
            break
    network.load_state_dict(best_weights)
    return float(best), epoch


def _epoch(network: nn.Sequential, train: Part, optimiser: torch.optim.Optimizer, batch_size: int) -> None:
    network.train()
    order = torch.randperm(len(train.Z))
    for start in range(0, len(order), batch_size):
        optimiser.zero_grad()
        train.loss(network, order[start : start + batch_size]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _loss(network: nn.Sequential, part: Part) -> float:
    network.eval()
    with torch.no_grad():
        return float(part.loss(network))
