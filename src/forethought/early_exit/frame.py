"""Where the tokens of one pass stand: rotary angles, masks, and their places in the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from forethought.targets.generation import Prompt

Rotary = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything a layer needs beside the states.

    Attributes:
        rotary: Kind of attention -> cosines and sines, each (rows, tokens, head size).
        masks: Kind of attention -> which keys a token sees, (rows, 1, tokens, keys); None where all.
        start: Place in the cache of the first of the tokens.
        tokens: How many a row.
    """

    rotary: Mapping[str, Rotary]
    masks: Mapping[str, torch.Tensor | None]
    start: int
    tokens: int

    def of(self, rows: torch.Tensor | None) -> Frame:
        """The frame of some of the rows; None is all."""
        if rows is None:
            return self
        rotary = {kind: (cos[rows], sin[rows]) for kind, (cos, sin) in self.rotary.items()}
        masks = {kind: None if mask is None else mask[rows] for kind, mask in self.masks.items()}
        return Frame(rotary, masks, self.start, self.tokens)


def causal_mask(real: torch.Tensor, tokens: int, window: int | None, *, additive: bool) -> torch.Tensor | None:
    """Which keys each of the newest tokens sees.

    Args:
        real: Which places hold a token and no padding, bool, (rows, keys); padding only on the left.
        tokens: How many of the last places are the tokens at hand.
        window: Most keys that a token sees, itself included; None is all.
        additive: 0 and -inf, as the plain attention wants, instead of True and False.

    Returns:
        (rows, 1, tokens, keys), or None where a single token sees all.
    """
    keys = real.shape[1]
    if tokens == 1 and (window is None or keys <= window) and bool(real.all()):
        return None
    place = torch.arange(keys)
    own = place[keys - tokens :, None]
    seen = place <= own
    if window is not None:
        seen &= place > own - window
    mask = (real[:, None, None, :] & seen) | (place == own)  # padding sees itself, or softmax divides 0 by 0
    if not additive:
        return mask
    return torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)


def left_padded(prompts: Sequence[Prompt], window: int | None, room: int) -> list[Prompt]:
    """The same prompts, without a shared prefix where a batch of them must be padded on the left.

    Behind a shared prefix, a sliding window would count the padding of the shorter ones.

    Args:
        prompts: Of one batch, of one prefix or not.
        window: Most keys that a token sees in the layer where it sees fewest; None is all.
        room: Tokens that will follow.
    """
    lengths = [len(prompt.ids) for prompt in prompts]
    counted = window is not None and len(set(lengths)) > 1 and max(lengths) + room > window
    if not counted and len({prompt.prefix for prompt in prompts}) == 1:
        return list(prompts)
    return [Prompt(prompt.ids, 0) for prompt in prompts]
