"""A key-value cache that grows in place and whose rows can be expanded and dropped."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values (rows, heads, capacity, head size), of which the first `length` positions are set.

    transformers' own dynamic layer copies the whole cache for every token; this one writes into room
    reserved beforehand.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.keys: Any = None
        self.values: Any = None
        self.capacity = capacity
        self.length = 0
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Append states (rows, heads, tokens, head size); return all that is set."""
        if self.keys is None:
            rows, heads, _tokens, size = key_states.shape
            self.keys = key_states.new_empty(rows, heads, self.capacity, size)
            self.values = value_states.new_empty(rows, heads, self.capacity, value_states.shape[-1])
        end = self.length + key_states.shape[2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        """Number of positions set."""
        return self.length

    def copy(self, rows: torch.Tensor, capacity: int) -> GrowingLayer:
        """Layer with the given rows of this one (repeats allowed) and another capacity."""
        new = GrowingLayer(capacity)
        new.update(self.keys[rows, :, : self.length], self.values[rows, :, : self.length])
        return new


def new_cache(layers: int, capacity: int) -> Any:
    """Empty cache for `layers` blocks and `capacity` positions."""
    return Cache(layers=[GrowingLayer(capacity) for _ in range(layers)])


def copy_rows(cache: Any, rows: torch.Tensor, capacity: int) -> Any:
    """Cache with the given rows, in that order, and room for `capacity` positions."""
    return Cache(layers=[layer.copy(rows, capacity) for layer in cache.layers])
