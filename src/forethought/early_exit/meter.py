"""What decoding really computed: layers, multiply-accumulates, and what full depth would have taken."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Self

import torch

from forethought.early_exit.blocks import Blocks


@dataclass(slots=True)
class Meter:
    """Counts of one run of the decoder, generated tokens' passes apart from prompts'.

    Attributes:
        passes: Passes of generated tokens: one a token but for the first, which the prompt's pass predicts, and
            for what is computed and thrown away.
        layers: Layers computed in them, one a token.
        steps: Layers computed for at least one row of their batch, one a batch.
        full_steps: The same at full depth.
        macs: Multiply-accumulates of generated tokens: layers, attention, keys and values of skipped layers, looks,
            maps and head.
        full_macs: What the unmodified model would have spent on the same passes.
        prompt_tokens: Tokens of prompts, read by the unmodified model.
        prompt_macs: Spent on them.
        lost_looks: Looks at a state that was NaN or infinite: no confidence is had of it, and the token goes on.
        depths: Layers under a pass's readout -> passes.

    A key that a sliding window hides, or the order of tokens that pass together, counts: its product is computed
    and masked. Padding does not, nor what a prompt's token would see of later ones. A prefix that prompts share counts
    for each of them, though it is read once.
    """

    passes: int = 0
    layers: int = 0
    steps: int = 0
    full_steps: int = 0
    macs: int = 0
    full_macs: int = 0
    prompt_tokens: int = 0
    prompt_macs: int = 0
    lost_looks: int = 0
    depths: dict[int, int] = field(default_factory=dict)

    @property
    def mean_depth(self) -> float:
        """Layers a generated token's pass; NaN without passes."""
        return self.layers / self.passes if self.passes else float("nan")

    @property
    def macs_saved(self) -> float:
        """Share of the multiply-accumulates of generated tokens that was spared; NaN without passes."""
        return 1 - self.macs / self.full_macs if self.full_macs else float("nan")

    def prompt(self, blocks: Blocks, length: int) -> None:
        """Count a prompt's pass: every layer for every token, the head for the last."""
        seen = length * (length + 1) // 2
        self.prompt_tokens += length
        self.prompt_macs += length * sum(blocks.layer_macs) + blocks.head_macs
        self.prompt_macs += blocks.n_layers * blocks.attention_macs * seen

    def layer(self, blocks: Blocks, index: int, tokens: int, keys: torch.Tensor) -> None:
        """Count a layer of one step.

        Args:
            blocks: The model.
            index: The layer.
            tokens: How many tokens went through it, over all rows.
            keys: By how many keys the query of each was multiplied, (tokens,).
        """
        self.layers += tokens
        self.steps += 1
        self.macs += tokens * blocks.layer_macs[index] + blocks.attention_macs * int(keys.sum())

    def pass_of(self, blocks: Blocks, depth: int, keys: int) -> None:
        """Count that a token's pass ended at a depth, and what it would have cost at full depth."""
        self.passes += 1
        self.depths[depth] = self.depths.get(depth, 0) + 1
        self.full_macs += sum(blocks.layer_macs) + blocks.head_macs + blocks.n_layers * blocks.attention_macs * keys

    def __add__(self, other: Self) -> Self:
        """Both runs together."""
        known = sorted({*self.depths, *other.depths})
        depths = {depth: self.depths.get(depth, 0) + other.depths.get(depth, 0) for depth in known}
        names = [count.name for count in fields(self) if count.name != "depths"]
        counts = {name: getattr(self, name) + getattr(other, name) for name in names}
        return type(self)(**counts, depths=depths)
