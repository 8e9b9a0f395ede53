from __future__ import annotations

import torch

from forethought.early_exit.cache import RowsCache, prefix_cache
from forethought.targets.kv_cache import new_cache

PLACES = 4


def written(rows: int) -> object:
    """Two layers of 1 head of size 2, with 4 places filled and room for 1 more."""
    cache = new_cache(2, PLACES + 1)
    for layer in range(2):
        states = torch.arange(rows * PLACES * 2.0).view(rows, 1, PLACES, 2) + 100 * layer
        cache.update(states, -states, layer)
    return cache


def test_rows_are_copied_with_room() -> None:
    source = written(2)
    cache = RowsCache.of(source, PLACES, torch.tensor([1, 1, 0]), 9)
    assert cache.capacity == 9
    for own, theirs in zip(cache.layers.layers, source.layers, strict=True):  # type: ignore[attr-defined]
        assert torch.equal(own.keys[:, :, :PLACES], theirs.keys[[1, 1, 0], :, :PLACES])
        own.keys[0] = 0
        assert theirs.keys[1, :, :PLACES].abs().sum() > 0  # a copy


def test_a_layer_writes_only_the_selected_rows_at_the_selected_place() -> None:
    cache = RowsCache.of(written(3), PLACES, torch.arange(3), 9)
    layer = cache.layers.layers[1]
    before = layer.keys.clone(), layer.values.clone()
    cache.select(1, torch.tensor([2, 0]), PLACES)
    new = torch.tensor([[[[7.0, 8.0]]], [[[9.0, 10.0]]]])
    keys, values = cache.layers.update(new, 2 * new, 1)
    assert keys.shape == (2, 1, PLACES + 1, 2)
    assert torch.equal(keys[:, :, :PLACES], before[0][[2, 0], :, :PLACES])
    assert torch.equal(keys[:, :, PLACES], new[:, :, 0])
    assert torch.equal(values[:, :, PLACES], 2 * new[:, :, 0])
    assert torch.equal(layer.keys[1, :, :PLACES], before[0][1, :, :PLACES])
    assert torch.equal(layer.keys[[2, 0], :, PLACES], new[:, :, 0])
    assert layer.get_seq_length() == PLACES


def test_places_are_written_over() -> None:
    cache = RowsCache.of(written(1), PLACES, torch.arange(1), 9)
    cache.select(0, None, 2)
    keys, _ = cache.layers.update(torch.full((1, 1, 1, 2), 5.0), torch.full((1, 1, 1, 2), 6.0), 0)
    assert keys.shape[2] == 3
    assert keys[0, 0, 2].tolist() == [5.0, 5.0]


def test_keeping_rows() -> None:
    cache = RowsCache.of(written(3), PLACES, torch.arange(3), PLACES)
    kept = cache.keep(torch.tensor([2, 0]))
    for layer in range(2):
        assert torch.equal(kept.layers.layers[layer].values, cache.layers.layers[layer].values[[2, 0]])


def test_answers_joined_to_a_prompt_keep_their_gradient_and_leave_it_alone() -> None:
    prefix = prefix_cache(written(2), PLACES, torch.tensor([0, 0, 1]))
    before = prefix.layers[0].keys.clone()
    for _ in range(2):  # nothing is remembered between passes
        states = torch.ones(3, 1, 2, 2, requires_grad=True)
        keys, values = prefix.update(states, states * 3, 0)
        assert keys.shape == values.shape == (3, 1, PLACES + 2, 2)
        (keys.sum() + values.sum()).backward()
        assert states.grad is not None
        assert bool((states.grad == 4).all())
    assert torch.equal(prefix.layers[0].keys, before)
    assert prefix.get_seq_length(0) == PLACES
