"""Readouts: which position of the prompt stands for it.

`last` is the last valid token, `mean` the mean over all valid tokens, `eoi[k]` the k-th
end-of-instruction token, k < 0 from the prompt's end: what the chat template puts after the user's
text (2602.09924 sec. 3). After a template `last` equals `eoi[-1]`; `last` exists for every model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from forethought.errors import FeatureError

if TYPE_CHECKING:
    from torch import Tensor

_EOI = re.compile(r"eoi\[-([1-9]\d*)\]")


def readout_names(eoi_length: int) -> tuple[str, ...]:
    """Every readout of a prompt that ends in `eoi_length` end-of-instruction tokens."""
    return ("last", "mean", *(f"eoi[-{k}]" for k in range(1, eoi_length + 1)))


def offset_from_end(readout: str) -> int | None:
    """How many tokens before the prompt's end a readout looks (1 = the last token); None for `mean`.

    Raises:
        FeatureError: No such readout.
    """
    if readout == "mean":
        return None
    if readout == "last":
        return 1
    if match := _EOI.fullmatch(readout):
        return int(match[1])
    raise FeatureError(f"no readout {readout!r}; allowed are 'last', 'mean' and 'eoi[-k]' with k >= 1")


def pool(hidden: Tensor, lengths: Tensor, readouts: Sequence[str]) -> Tensor:
    """Read right-padded hidden states (b, t, d) at `readouts`; (b, r, d) in float32.

    Padding never enters: positions are counted from each row's own length (b,), and the mean is
    over valid tokens alone.
    """
    import torch

    rows = torch.arange(len(hidden))
    pooled = hidden.new_empty((len(hidden), len(readouts), hidden.shape[-1]), dtype=torch.float32)
    for column, readout in enumerate(readouts):
        offset = offset_from_end(readout)
        pooled[:, column] = _mean(hidden, lengths) if offset is None else hidden[rows, lengths - offset].float()
    return pooled


def _mean(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Mean over valid tokens, summed in float32 whatever the encoder ran in."""
    import torch

    # Row by row: a masked product would turn an infinite pad position into NaN (0 * inf).
    return torch.stack(
        [row[:length].mean(dim=0, dtype=torch.float32) for row, length in zip(hidden, lengths, strict=True)]
    )
