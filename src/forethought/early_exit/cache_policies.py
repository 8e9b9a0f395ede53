"""What becomes of the keys and values of skipped layers, where each token can be served at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from forethought.early_exit.blocks import Blocks
from forethought.early_exit.cache import RowsCache
from forethought.early_exit.frame import Frame


@dataclass(frozen=True)
class Propagate:
    """Keys and values of every skipped layer from the frozen residual stream (CALM, 2207.07061, 'state propagation').

    Attributes:
        blocks: Whose projections.
    """

    blocks: Blocks
    single = False
    fills = 1

    def begin(self) -> Propagate:
        """Itself: it remembers nothing."""
        return self

    def forces_full(self) -> bool:
        """Never."""
        return False

    def enter(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """Nothing is owed."""
        return hidden

    def leave(self, layer: int, hidden: torch.Tensor, frame: Frame, cache: RowsCache) -> None:
        """Fill all layers from this one up."""
        for index in range(layer, self.blocks.n_layers):
            self.blocks.fill(index, hidden, frame, cache.layers)


@dataclass(frozen=True)
class LeaveEmpty:
    """Nothing: for schedules under which no later token looks at what was skipped (SkipDecode, 2307.02628).

    Only monotone rules go with it: under any other, a later token would read what nobody wrote.
    """

    single = False
    fills = 0

    def begin(self) -> LeaveEmpty:
        """Itself: it remembers nothing."""
        return self

    def forces_full(self) -> bool:
        """Never."""
        return False

    def enter(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """Nothing is owed."""
        return hidden

    def leave(self, layer: int, hidden: torch.Tensor, frame: Frame, cache: RowsCache) -> None:
        """Nothing is kept."""
