from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.core import DecodingPolicy
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.model import ExitModel
from forethought.early_exit.passage import Answers, PrefixReader, readout, run
from forethought.early_exit.recompute import Recompute
from forethought.early_exit.rules import Never, Prescribed, StaticCut
from forethought.errors import ConfigError
from forethought.models import LanguageModel
from forethought.targets.generation import Prompt

POLICY = DecodingPolicy(max_tokens=12, temperature=1.0)


def exact(model: ExitModel, prompt: Prompt, answer: Any) -> torch.Tensor:
    """Logits (passes, vocabulary) over keys and values that all are of full depth, each read out at its depth."""
    written = Answers.of([prompt], [answer.tokens])
    prefix = PrefixReader(model).read(written)
    whole = run(model.student, prefix, written, model.config.layers)
    depths = torch.tensor([answer.depths[1:]])
    states = torch.stack([*whole.exits, whole.final])
    layers = torch.tensor([*model.config.layers, model.n_layers])
    own = states[torch.searchsorted(layers, depths[0]), 0, torch.arange(depths.shape[1])]
    return model.student.logits(readout(model, own[None], depths))[0]


@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3", "Mistral", "Gemma2", "Gemma3"])
@pytest.mark.parametrize("cap", [None, 1, 3])
@torch.no_grad()
def test_no_token_sees_a_key_that_is_not_of_full_depth(
    make: Callable[..., LanguageModel], exits: Callable[..., ExitModel], drive: Callable[..., Any],
    at_random: Callable[[float], Any], prompts: list[Prompt], family: str, cap: int | None,
) -> None:  # fmt: skip
    model = exits(make(family))
    logits, [answer] = drive(ExitDecoder(model, at_random(0.5), POLICY, cache_policy=Recompute(cap)), prompts[:1])
    assert set(answer.depths[1:]) >= {1, 4}
    assert torch.allclose(logits[0, 1:], exact(model, prompts[0], answer), atol=2e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=9))
@torch.no_grad()
def test_whatever_the_depths(
    model: ExitModel, drive: Callable[..., Any], prompts: list[Prompt], depths: list[int]
) -> None:
    policy = DecodingPolicy(max_tokens=len(depths) + 1)
    rule = Prescribed(torch.tensor([depths]))
    decoder = ExitDecoder(model, rule, policy, cache_policy=Recompute())
    logits, [answer] = drive(decoder, prompts[1:2])
    assert answer.depths[1:] == depths
    assert torch.allclose(logits[0, 1:], exact(model, prompts[1], answer), atol=2e-5)
    # a layer is computed for a token once a later token, or itself, goes past it
    assert decoder.meter.layers == sum(max(depths[place:]) for place in range(len(depths)))


@torch.no_grad()
def test_filled_keys_would_not_do(
    model: ExitModel, drive: Callable[..., Any], at_random: Callable[[float], Any], prompts: list[Prompt]
) -> None:
    logits, [answer] = drive(ExitDecoder(model, at_random(0.5), POLICY), prompts[:1])
    assert not torch.allclose(logits[0, 1:], exact(model, prompts[0], answer), atol=1e-2)


def test_many_rows_are_served_one_after_the_other_and_owe_each_other_nothing(
    model: ExitModel, at_random: Callable[[float], Any], prompts: list[Prompt], keys: list[bytes]
) -> None:
    decoder = ExitDecoder(model, at_random(0.5), POLICY, cache_policy=Recompute())
    batch = decoder.generate(prompts, range(5), keys)
    single = [decoder.generate([prompt], [0], [key])[0] for prompt, key in zip(prompts, keys, strict=True)]
    assert [(a.tokens, a.depths, a.logprob) for a in batch] == [(a.tokens, a.depths, a.logprob) for a in single]
    streams = [decoder.stream(prompt, key) for prompt, key in zip(prompts, keys, strict=True)]
    turns = [[next(stream, None) for stream in streams] for _ in range(12)]  # interleaved
    told = [[pair for pair in text if pair] for text in zip(*turns, strict=True)]
    assert told == [list(zip(answer.tokens, answer.depths, strict=True)) for answer in batch]


def test_a_cap_forces_full_passes(model: ExitModel, prompts: list[Prompt]) -> None:
    policy = DecodingPolicy(max_tokens=9)
    decoder = ExitDecoder(model, StaticCut(1), policy, stops=lambda _: False, cache_policy=Recompute(3))
    [answer] = decoder.generate(prompts[:1], [0], [b"k"])
    assert answer.depths[1:] == [1, 1, 1, 4, 1, 1, 1, 4]
    meter = decoder.meter
    assert meter.layers == 8 * 4  # everybody is at full depth in the end
    assert (meter.steps, meter.full_steps) == (6 * 1 + 2 * 4, 8 * 4)
    assert meter.depths == {1: 6, 4: 2}


def test_what_is_owed() -> None:
    policy = Recompute(4)
    states = torch.arange(5.0).view(1, 5, 1)
    cache: Any = None
    policy.leave(3, states[:, :1], cache, cache)
    policy.leave(1, states[:, 1:2], cache, cache)
    policy.leave(1, states[:, 2:3], cache, cache)
    assert (policy.pending, policy.forces_full()) == (3, False)
    joined = policy.enter(1, states[:, 3:4])
    assert joined.flatten().tolist() == [1, 2, 3]
    assert policy.enter(2, joined) is joined
    policy.leave(3, joined, cache, cache)  # behind the one that left there before
    assert (policy.pending, policy.forces_full()) == (4, True)
    assert policy.begin().pending == 0
    assert policy.enter(3, states[:, 4:]).flatten().tolist() == [0, 1, 2, 3, 4]
    assert policy.pending == 0


def test_without_exits_nothing_is_owed(model: ExitModel, drive: Callable[..., Any], prompts: list[Prompt]) -> None:
    plain, _ = drive(ExitDecoder(model, Never(), POLICY), prompts[:1])
    same, _ = drive(ExitDecoder(model, Never(), POLICY, cache_policy=Recompute()), prompts[:1])
    assert torch.equal(plain, same)


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="cap must be >= 1 tokens, or None, got 0"):
        Recompute(0)
