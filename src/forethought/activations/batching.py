"""Token-budget batches of prompts alike in length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def token_batches(lengths: Sequence[int], budget: int) -> list[NDArray[np.intp]]:
    """Split rows into batches of at most `budget` padded tokens each, alike in length.

    Args:
        lengths: Tokens of each row.
        budget: Most tokens a batch, padding included; a longer row stands alone.

    Returns:
        Row indices, each row in exactly one batch, longest rows first.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.intp), kind="stable")
    batches, start = [], 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        batches.append(order[start : start + size])
        start += size
    return batches
