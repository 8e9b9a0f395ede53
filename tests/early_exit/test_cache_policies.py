from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.base import CachePolicy
from forethought.early_exit.cache import RowsCache
from forethought.early_exit.cache_policies import LeaveEmpty, Propagate
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.model import ExitModel
from forethought.early_exit.recompute import Recompute
from forethought.early_exit.rules import MonotoneSchedule, StaticCut
from forethought.models import LanguageModel
from forethought.targets.generation import Prompt

POLICY = DecodingPolicy(max_tokens=12, temperature=1.0)


class Spoiled(LeaveEmpty):
    """Makes what is left empty NaN: whoever reads it is NaN too."""

    def leave(self, layer: int, hidden: torch.Tensor, frame: Any, cache: RowsCache) -> None:
        for skipped in cache.layers.layers[layer:]:
            skipped.keys[:, :, skipped.start :] = float("nan")
            skipped.values[:, :, skipped.start :] = float("nan")


@pytest.mark.parametrize("family", ["Llama", "Gemma3"])
@pytest.mark.parametrize("rule", [MonotoneSchedule(4, 1, 8), MonotoneSchedule(3, 3, 1), StaticCut(2)])
@torch.no_grad()
def test_under_a_schedule_that_only_falls_nothing_skipped_is_ever_read(
    make: Callable[..., LanguageModel], exits: Callable[..., ExitModel], drive: Callable[..., Any],
    prompts: list[Prompt], family: str, rule: Any,
) -> None:  # fmt: skip
    model = exits(make(family))
    filled, written = drive(ExitDecoder(model, rule, POLICY), prompts)
    empty, same = drive(ExitDecoder(model, rule, POLICY, cache_policy=LeaveEmpty()), prompts)
    spoiled, _ = drive(ExitDecoder(model, rule, POLICY, cache_policy=Spoiled()), prompts)
    exact, _ = drive(ExitDecoder(model, rule, POLICY, cache_policy=Recompute()), prompts[:1])
    assert {depth for answer in written for depth in answer.depths[1:]} != {4}
    assert [a.tokens for a in written] == [a.tokens for a in same]
    assert torch.equal(filled, empty)
    assert torch.equal(filled, spoiled)
    assert torch.allclose(filled[:1], exact, atol=1e-5)  # and so all that is read is what full depth writes


@torch.no_grad()
def test_spoiled_keys_would_be_seen(
    model: ExitModel, drive: Callable[..., Any], at_random: Callable[[float], Any], prompts: list[Prompt]
) -> None:
    rule = at_random(0.5)
    rule.monotone = True  # it is not
    logits, _ = drive(ExitDecoder(model, rule, DecodingPolicy(max_tokens=12), cache_policy=Spoiled()), prompts)
    assert bool(logits.isnan().any())


@torch.no_grad()
def test_propagation_fills_every_layer_above_from_the_frozen_state(model: ExitModel, prompts: list[Prompt]) -> None:
    decoder = ExitDecoder(model, StaticCut(2), DecodingPolicy(max_tokens=3))
    running = decoder._start(prompts[:1], [0], [b"k"])
    place = running.real.shape[1]
    tokens = decoder._choose(running, 0)
    decoder._advance(running, tokens, 1)
    blocks = model.student
    hidden = blocks.embed(tokens[:, None])
    frame = blocks.frame(hidden, torch.tensor([[place]]), running.real)
    copy = RowsCache([type(layer)(layer.keys.clone(), layer.values.clone()) for layer in running.cache.layers.layers])
    for layer in range(2):
        copy.select(layer, None, place)
        hidden = blocks.layer(layer, hidden, frame, copy.layers)
    for layer in (2, 3):
        own = running.cache.layers.layers[layer]
        copy.select(layer, None, place)
        blocks.layer(layer, hidden, frame, copy.layers)  # the layer itself, over the same frozen state
        assert torch.allclose(own.keys[:, :, place], copy.layers.layers[layer].keys[:, :, place], atol=1e-6)
        assert torch.allclose(own.values[:, :, place], copy.layers.layers[layer].values[:, :, place], atol=1e-6)


def test_policies_that_remember_nothing_serve_all_answers(model: ExitModel) -> None:
    for policy in (Propagate(model.student), LeaveEmpty()):
        assert isinstance(policy, CachePolicy)
        assert policy.begin() is policy
        assert not policy.forces_full()
        assert not policy.single
        states = torch.zeros(2, 1, 32)
        assert policy.enter(1, states) is states
    assert isinstance(Recompute(), CachePolicy)
    assert Recompute().single
