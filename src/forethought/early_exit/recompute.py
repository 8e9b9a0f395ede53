"""Exact keys and values of skipped layers, computed later together with a token that goes deeper."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from forethought.early_exit.cache import RowsCache
from forethought.early_exit.frame import Frame
from forethought.errors import ConfigError


@dataclass
class Recompute:
    """Tokens that left are run on beside the next token that passes their layer (FREE, 2310.05424; EE-LLM, 2312.04916).

    A token that left before layer l owes layers l and up, and its state is kept. When a later token enters
    layer l, it joins: both go through the layer as a batch, causally, and go on together. Where the newest
    leaves, all that joined owe from there on. So no token owes fewer layers than an older one: those that owe a
    layer are always the tokens right before the newest, each layer's keys and values stay without gaps, and
    none that is read is not exact. What an answer still owes at its end is never computed.

    Attributes:
        cap: Once so many tokens owe layers, the next pass goes to full depth (EE-LLM); None waits for ever.
    """

    cap: int | None = None
    _owed: dict[int, torch.Tensor] = field(default_factory=dict, init=False, repr=False)

    single = True
    fills = 0

    def __post_init__(self) -> None:
        if self.cap is not None and self.cap < 1:
            raise ConfigError(f"cap must be >= 1 tokens, or None, got {self.cap}")

    @property
    def pending(self) -> int:
        """Tokens that owe layers."""
        return sum(states.shape[1] for states in self._owed.values())

    def begin(self) -> Recompute:
        """The policy for one answer."""
        return Recompute(self.cap)

    def forces_full(self) -> bool:
        """Whether as many owe as may."""
        return self.cap is not None and self.pending >= self.cap

    def enter(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """Those that owe the layer, and the tokens at hand: (1, tokens, width) -> (1, owing + tokens, width)."""
        owing = self._owed.pop(layer, None)
        return hidden if owing is None else torch.cat([owing, hidden], dim=1)

    def leave(self, layer: int, hidden: torch.Tensor, frame: Frame, cache: RowsCache) -> None:
        """Note the states of those that stop, behind those of earlier tokens that stopped there."""
        self._owed[layer] = self.enter(layer, hidden)
