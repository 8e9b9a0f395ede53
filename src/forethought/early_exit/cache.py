"""Keys and values of a batch whose rows go to different depths."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class RowsLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values (rows, heads, capacity, head size), written for some rows at a given place."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys: Any = keys
        self.values: Any = values
        self.is_initialized = True
        self.rows: torch.Tensor | None = None
        self.start = 0

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Write states (rows, heads, tokens, head size) at the selected place; return all up to there."""
        end = self.start + key_states.shape[2]
        if self.rows is None:
            self.keys[:, :, self.start : end] = key_states
            self.values[:, :, self.start : end] = value_states
            return self.keys[:, :, :end], self.values[:, :, :end]
        self.keys[self.rows, :, self.start : end] = key_states
        self.values[self.rows, :, self.start : end] = value_states
        return self.keys[self.rows, :, :end], self.values[self.rows, :, :end]

    def get_seq_length(self) -> int:
        """Place of the next token."""
        return self.start


class PrefixLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values of a prompt, which the states of an answer are joined to and never written over.

    What is joined keeps its gradient.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys: Any = keys
        self.values: Any = values
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        """The prompt's states and these."""
        return torch.cat([self.keys, key_states], dim=2), torch.cat([self.values, value_states], dim=2)

    def get_seq_length(self) -> int:
        """Length of the prompt."""
        return int(self.keys.shape[2])


class RowsCache:
    """Keys and values of every layer, with room for the whole answer.

    Attributes:
        layers: What transformers' attention writes to and reads from.
        capacity: Places a row.
    """

    def __init__(self, layers: list[RowsLayer]) -> None:
        self.layers = Cache(layers=layers)
        self.capacity = int(layers[0].keys.shape[2])

    @classmethod
    def of(cls, cache: Any, length: int, rows: torch.Tensor, capacity: int) -> RowsCache:
        """Copy some rows (repeats allowed) of a cache that holds `length` places, with room for more."""
        return cls([_grown(layer, length, rows, capacity) for layer in cache.layers])

    def keep(self, rows: torch.Tensor) -> RowsCache:
        """The cache of some of the rows."""
        return RowsCache([RowsLayer(layer.keys[rows], layer.values[rows]) for layer in self.layers.layers])

    def select(self, layer: int, rows: torch.Tensor | None, start: int) -> None:
        """Say where the layer's next states go: which rows (None is all) and from which place on."""
        chosen = self.layers.layers[layer]
        chosen.rows, chosen.start = rows, start


def prefix_cache(cache: Any, length: int, rows: torch.Tensor) -> Any:
    """Some rows (repeats allowed) of a prompt's cache, to join answers to."""
    return Cache(
        layers=[PrefixLayer(layer.keys[rows, :, :length], layer.values[rows, :, :length]) for layer in cache.layers]
    )


def _grown(layer: Any, length: int, rows: torch.Tensor, capacity: int) -> RowsLayer:
    _, heads, _, size = layer.keys.shape
    keys = layer.keys.new_empty(len(rows), heads, capacity, size)
    values = layer.values.new_empty(len(rows), heads, capacity, layer.values.shape[-1])
    keys[:, :, :length] = layer.keys[rows, :, :length]
    values[:, :, :length] = layer.values[rows, :, :length]
    return RowsLayer(keys, values)
