"""A second view of a model's weights: the same tensors with low-rank adapters on the attention (LoRA, 2106.09685)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import nn

from forethought.early_exit.blocks import PROJECTIONS
from forethought.errors import ArtifactError

Adapted = Literal["attention", "all"]
ADAPTED: tuple[Adapted, ...] = ("attention", "all")


class AdaptedLinear(nn.Module):
    """W x + (alpha / r) B A x over a linear map that is shared and never changes.

    Args:
        base: The map, whose weights stay frozen.
        rank: r.
        alpha: Scale times r.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        self._merged: torch.Tensor | None = None
        self._made_of: tuple[int, int] = (-1, -1)

    def reset(self, generator: torch.Generator) -> None:
        """Draw A, zero B: the adapted map is the base's."""
        bound = 1 / math.sqrt(self.base.in_features)
        with torch.no_grad():
            self.down.uniform_(-bound, bound, generator=generator)
            self.up.zero_()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        if torch.is_grad_enabled():
            self._merged = None
            low = nn.functional.linear(nn.functional.linear(states, self.down), self.up)
            return self.base(states) + self.scale * low  # type: ignore[no-any-return]
        return nn.functional.linear(states, self._weight(), self.base.bias)

    def _weight(self) -> torch.Tensor:
        """W + (alpha / r) B A, kept between passes without gradient: decoding costs what it costs without adapters."""
        now = (self.down._version, self.up._version)  # counted up by whatever writes to them, an optimiser's step too
        if self._merged is None or self._made_of != now:
            with torch.autocast(self.base.weight.device.type, enabled=False):  # kept for passes in full precision too
                self._merged = self.base.weight + self.scale * (self.up @ self.down)
            self._made_of = now
        return self._merged


class Adapters:
    """The adapters of one adapted view.

    Attributes:
        model: The view: its own modules, the original's tensors. The original stays as it was.

    Args:
        model: The original.
        rank: r.
        alpha: Scale times r.
        adapted: `attention` adapts q, k, v and o, as the paper does; `all` the MLP's maps as well.
        seed: Of A.
    """

    def __init__(self, model: Any, *, rank: int, alpha: float, adapted: Adapted = "attention", seed: int = 0) -> None:
        self.model = shared_copy(model)
        generator = torch.Generator().manual_seed(seed)
        self._maps: dict[str, AdaptedLinear] = {}
        for index, layer in enumerate(self.model.model.layers):
            for owner, name in _linear_maps(layer, adapted):
                new = AdaptedLinear(getattr(owner, name), rank, alpha)
                new.reset(generator)
                setattr(owner, name, new)
                self._maps[f"{index}.{name}"] = new

    def parameters(self) -> Iterator[nn.Parameter]:
        """Every A and B."""
        for adapted in self._maps.values():
            yield adapted.down
            yield adapted.up

    def state(self) -> dict[str, torch.Tensor]:
        """Name -> tensor."""
        return {
            f"{name}.{part}": getattr(adapted, part).detach()
            for name, adapted in self._maps.items()
            for part in ("down", "up")
        }

    @torch.no_grad()
    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take the tensors of `state`.

        Raises:
            ArtifactError: A tensor is missing or of another shape.
        """
        for name, current in self.state().items():
            found = state.get(name)
            if found is None or found.shape != current.shape:
                shape = None if found is None else tuple(found.shape)
                raise ArtifactError(f"adapter {name!r} has shape {shape}, the model needs {tuple(current.shape)}")
            current.copy_(found)


def _linear_maps(layer: Any, adapted: Adapted) -> list[tuple[Any, str]]:
    """Owner and name of every map of a layer that is adapted."""
    found = [(layer.self_attn, name) for name in PROJECTIONS]
    if adapted == "all":
        found += [(layer.mlp, name) for name, part in layer.mlp.named_children() if isinstance(part, nn.Linear)]
    return found


def shared_copy(model: Any) -> Any:
    """A model of its own modules over the very same parameters and buffers; it takes no memory of weights."""
    shared: list[torch.Tensor] = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
