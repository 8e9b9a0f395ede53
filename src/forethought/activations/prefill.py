"""Truncated prefill: run a decoder only as deep as it is read, and read raw block outputs on the way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from forethought.errors import FeatureError

Reader = Callable[[int, Tensor], None]
"""Called with a layer and its hidden states (b, t, d); layer 0 is what the first block is given."""


def decoder_of(model: Any) -> tuple[nn.Module, str]:
    """The bare decoder of a language model (no LM head) and the name of its list of blocks.

    Raises:
        FeatureError: The architecture does not hold its blocks in one list.
    """
    decoder = model.get_decoder()
    depth = model.config.get_text_config().num_hidden_layers
    lists = [
        name for name, child in decoder.named_children() if isinstance(child, nn.ModuleList) and len(child) == depth
    ]
    if len(lists) != 1:
        raise FeatureError(
            f"cannot find the blocks of {type(model).__name__}: {len(lists)} lists of {depth} modules in "
            f"{type(decoder).__name__}; Llama-like decoders, which hold exactly one, can be read"
        )
    return decoder, lists[0]


def truncated(decoder: nn.Module, blocks: str, depth: int, read: Reader) -> nn.Module:
    """A view of `decoder` that shares its weights, ends after `depth` blocks and shows each layer to `read`.

    The decoder itself is not touched: no hook is left on it, and views of it may run side by side.
    """
    view = copy.copy(decoder)
    chain = getattr(decoder, blocks)[:depth]
    taps = nn.ModuleList(_Tap(block, layer, read) for layer, block in enumerate(chain, start=1))
    # A shallow copy still shares the dict of children; a new one keeps the decoder whole.
    view._modules = {**decoder._modules, blocks: taps}
    return view


class _Tap(nn.Module):
    """A block whose output is shown to a reader. Other attributes are the block's own."""

    def __init__(self, block: nn.Module, layer: int, read: Reader) -> None:
        super().__init__()
        self.block = block
        self._layer = layer
        self._read = read

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules["block"], name)

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        if self._layer == 1:
            self._read(0, hidden_states)
        output = self.block(hidden_states, *args, **kwargs)
        self._read(self._layer, output if isinstance(output, Tensor) else output[0])
        return output


def padded(prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Right-padded token ids (b, t) and lengths (b,).

    Attention is causal, so a valid token never sees what stands to its right and no mask is needed:
    that keeps the fast causal path. A row's pads repeat its last token, so that even their unused
    states stay ordinary.
    """
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    width = int(lengths.max())
    ids = torch.tensor([prompt + prompt[-1:] * (width - len(prompt)) for prompt in prompts])
    return ids, lengths
