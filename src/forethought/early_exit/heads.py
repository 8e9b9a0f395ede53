"""What is learned at the exits: a gate that says when to stop, and a map to where the last layer would have led."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

GateKind = Literal["linear", "mlp"]
GATES: tuple[GateKind, ...] = ("linear", "mlp")


class LinearGate(nn.Module):
    """w . h + b of the normalised residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.macs = width

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(..., width) -> (...)."""
        logits: torch.Tensor = self.out(states)[..., 0]
        return logits


class MLPGate(nn.Module):
    """The paper's gate: d -> 2d -> 1 with a ReLU (2603.21376), or with fewer hidden units.

    Args:
        width: d.
        hidden: Units; 0 is 2d.
    """

    def __init__(self, width: int, hidden: int = 0) -> None:
        super().__init__()
        units = hidden or 2 * width
        self.inner = nn.Linear(width, units)
        self.out = nn.Linear(units, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.macs = width * units + units

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(..., width) -> (...)."""
        logits: torch.Tensor = self.out(functional.relu(self.inner(states)))[..., 0]
        return logits


class ExitMap(nn.Module):
    """h + B A h + b: a low-rank tuned lens (2303.08112) from an exit's residual towards the last layer's.

    Args:
        width: Of the residual stream.
        rank: Of the map.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.macs = 2 * width * rank

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., width) -> (..., width)."""
        moved: torch.Tensor = hidden + self.up(self.down(normalised(hidden)))
        return moved


class ExitHeads(nn.Module):
    """Gates and maps of all exits.

    Args:
        layers: Of the exits, rising.
        width: Of the residual stream.
        gate: `linear` or `mlp`.
        gate_units: Hidden units of an MLP; 0 is twice the width.
        map_rank: Of the exit maps; 0 reads the residual out as it is.
        seed: Of the first weights.
    """

    def __init__(
        self,
        layers: Sequence[int],
        width: int,
        *,
        gate: GateKind = "linear",
        gate_units: int = 0,
        map_rank: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.gates = nn.ModuleList(
                LinearGate(width) if gate == "linear" else MLPGate(width, gate_units) for _ in layers
            )
            self.maps = nn.ModuleList(ExitMap(width, map_rank) for _ in layers if map_rank)

    @property
    def gate_macs(self) -> int:
        """Multiply-accumulates of one look."""
        return int(self.gates[0].macs)  # type: ignore[arg-type]

    @property
    def map_macs(self) -> int:
        """Of one readout of a token that left."""
        return int(self.maps[0].macs) if self.maps else 0  # type: ignore[arg-type]

    def gate_logit(self, exit: int, hidden: torch.Tensor) -> torch.Tensor:
        """z_l of a gate, (..., width) -> (...); p_l = sigmoid(z_l)."""
        logit: torch.Tensor = self.gates[exit](normalised(hidden))
        return logit

    def mapped(self, exit: int, hidden: torch.Tensor) -> torch.Tensor:
        """The state to read out of a token that leaves at this exit, (..., width) -> (..., width)."""
        if not self.maps:
            return hidden
        state: torch.Tensor = self.maps[exit](hidden)
        return state


def normalised(hidden: torch.Tensor) -> torch.Tensor:
    """h / rms(h): the residual stream grows with depth and with a few outlying dimensions."""
    return functional.rms_norm(hidden, hidden.shape[-1:])
