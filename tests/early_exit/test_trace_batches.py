from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from forethought.early_exit.trace_batches import TraceBatches
from forethought.early_exit.traces import Trace
from forethought.targets.generation import Prompt


def traces(lengths: list[list[int]]) -> list[Trace]:
    return [
        Trace(question, Prompt((1, question), 1), [question] * length)
        for question, own in enumerate(lengths)
        for length in own
    ]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.lists(st.lists(st.integers(2, 30), min_size=1, max_size=6), min_size=1, max_size=40), st.integers(1, 12))
def test_a_batch_is_as_large_as_asked_or_holds_what_there_is(lengths: list[list[int]], size: int) -> None:
    found = TraceBatches(traces(lengths), size).draw(generator(0))
    available = sum(min(len(own), 4) for own in lengths)
    assert 1 <= len(found.rows) <= size
    assert len(found.rows) == size or available < size or len(found.rows) == available


def test_the_same_generator_draws_the_same_batch() -> None:
    batches = TraceBatches(traces([[5], [9], [3, 4], [20], [7]]), 3)
    one, other = batches.draw(generator(7)), batches.draw(generator(7))
    assert torch.equal(one.tokens, other.tokens)
    assert one.prompts == other.prompts


def test_every_trace_is_drawn_in_the_long_run() -> None:
    lengths = [[2 + question % 25] for question in range(60)]
    batches = TraceBatches(traces(lengths), 4)
    seen = {prompt.ids[1] for seed in range(200) for prompt in batches.draw(generator(seed)).prompts}
    assert seen == set(range(60))


def test_batches_hold_little_padding() -> None:
    lengths = [[2 + question % 25] for question in range(200)]
    batches = TraceBatches(traces(lengths), 8)
    drawn = [batches.draw(generator(seed)) for seed in range(50)]
    real = sum(int(found.real.sum()) for found in drawn)
    room = sum(found.real.numel() for found in drawn)
    assert real / room > 0.8, "of batches drawn without a look at lengths about half would be padding"
