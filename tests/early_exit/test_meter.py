from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from forethought.core import DecodingPolicy
from forethought.early_exit.blocks import Blocks
from forethought.early_exit.cache_policies import LeaveEmpty, Propagate
from forethought.early_exit.confidences import GateConfidence, SoftmaxGap
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.meter import Meter
from forethought.early_exit.model import ExitModel
from forethought.early_exit.recompute import Recompute
from forethought.early_exit.rules import MonotoneSchedule, Never, Prescribed, Sampled, Threshold
from forethought.early_exit.speculation import Drafting, SpeculationMeter, SpeculativeDecoder
from forethought.models import LanguageModel
from forethought.targets.generation import Prompt

POLICY = DecodingPolicy(max_tokens=8)


def never(token: int) -> bool:
    return False


def flops(decoder: ExitDecoder | SpeculativeDecoder, prompts: list[Prompt], keys: list[bytes]) -> int:
    """Floating-point operations that torch ran for everything but prompts: two for a multiply-accumulate."""
    decoder.generate(prompts, range(len(prompts)), keys)  # merges the adapters
    decoder.meter = type(decoder.meter)()
    with FlopCounterMode(display=False) as counted:
        decoder.generate(prompts, range(len(prompts)), keys)
    reads = (
        [prompts] if isinstance(decoder, ExitDecoder) and not decoder.cache_policy.single else [[p] for p in prompts]
    )
    with FlopCounterMode(display=False) as read, torch.no_grad():
        for part in reads:
            decoder._generator.prefill(part)
    return int(counted.get_total_flops() - read.get_total_flops())


@pytest.fixture(scope="module")
def eager(make: Callable[..., LanguageModel], exits: Callable[..., ExitModel]) -> ExitModel:
    """Plain attention: torch counts its products."""
    return exits(make("Qwen2", attention="eager"), gate="mlp")


@pytest.mark.parametrize(
    ("rule", "policy"),
    [
        (lambda model: Never(), None),
        (lambda model: Sampled(GateConfidence(model)), None),
        (lambda model: Threshold(SoftmaxGap(model), 0.02), None),
        (lambda model: MonotoneSchedule(4, 1, 6), LeaveEmpty()),
        (lambda model: Sampled(GateConfidence(model)), Recompute()),
        (lambda model: Sampled(GateConfidence(model)), Recompute(2)),
    ],
    ids=["never", "gates", "heads", "schedule", "recompute", "capped"],
)
def test_what_is_counted_is_what_torch_ran(
    eager: ExitModel, make_prompts: Callable[..., list[Prompt]], keys: list[bytes], rule: Any, policy: Any
) -> None:
    decoder = ExitDecoder(eager, rule(eager), POLICY, stops=never, cache_policy=policy)
    ran = flops(decoder, make_prompts([7, 7, 7]), keys[:3])  # of one length: padding is computed and not counted
    assert 2 * decoder.meter.macs == ran


def test_without_maps_too(
    make: Callable[..., LanguageModel], exits: Callable[..., ExitModel], make_prompts: Callable[..., list[Prompt]],
    keys: list[bytes],
) -> None:  # fmt: skip
    model = exits(make("Gemma3", attention="eager"), map_rank=0)
    decoder = ExitDecoder(model, Sampled(GateConfidence(model)), POLICY, stops=never)
    assert flops(decoder, make_prompts([7, 7, 7]), keys[:3]) == 2 * decoder.meter.macs


@pytest.mark.parametrize("length", [1, 3])
def test_drafts_are_counted_as_torch_ran_them(
    eager: ExitModel, prompts: list[Prompt], keys: list[bytes], length: int
) -> None:
    rule = Threshold(GateConfidence(eager), 0.4)
    decoder = SpeculativeDecoder(eager, POLICY, Drafting(2, length, rule), stops=never)
    assert flops(decoder, prompts, keys) == 2 * decoder.meter.macs


def test_by_hand(model: ExitModel, make_prompts: Callable[..., list[Prompt]]) -> None:
    # width 32, 4 heads and 2 of keys of size 8, MLP 48, vocabulary 258, maps of rank 3, no look costs anything
    layer, fill, head, lens = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48, 2 * 32 * 16, 32 * 258, 2 * 32 * 3
    key = 2 * 4 * 8
    [prompt] = make_prompts([5])
    decoder = ExitDecoder(model, Prescribed(torch.tensor([[3, 1, 4]])), DecodingPolicy(max_tokens=4), stops=never)
    decoder.generate([prompt], [0], [b"k"])
    meter = decoder.meter
    first = 3 * (layer + 6 * key) + fill + lens + head  # the 6th token sees 6 keys; layer 3 is filled
    second = 1 * (layer + 7 * key) + 3 * fill + lens + head
    third = 4 * (layer + 8 * key) + head
    assert meter.macs == first + second + third
    assert meter.full_macs == 3 * (4 * layer + head) + 4 * key * (6 + 7 + 8)
    assert meter.prompt_macs == 5 * 4 * layer + head + 4 * key * (1 + 2 + 3 + 4 + 5)
    assert (meter.passes, meter.layers, meter.steps, meter.full_steps) == (3, 8, 8, 12)
    assert (meter.prompt_tokens, meter.depths, meter.lost_looks) == (5, {3: 1, 1: 1, 4: 1}, 0)
    assert meter.mean_depth == pytest.approx(8 / 3)
    assert meter.macs_saved == pytest.approx(1 - meter.macs / meter.full_macs)


def test_steps_are_those_of_the_deepest_row(model: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    depths = torch.tensor([[1, 1], [2, 1], [1, 1], [3, 1], [1, 1]])
    decoder = ExitDecoder(model, Prescribed(depths), DecodingPolicy(max_tokens=3), stops=never)
    decoder.generate(prompts, range(5), keys)
    assert (decoder.meter.steps, decoder.meter.full_steps, decoder.meter.layers) == (3 + 1, 2 * 4, 8 + 5)


def test_at_full_depth_nothing_is_saved(model: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    decoder = ExitDecoder(model, Never(), POLICY, stops=never, cache_policy=Propagate(model.student))
    decoder.generate(prompts, range(5), keys)
    assert decoder.meter.macs == decoder.meter.full_macs
    assert decoder.meter.macs_saved == 0
    assert decoder.meter.mean_depth == 4


def test_two_runs_together() -> None:
    blocks = Blocks(LlamaForCausalLM(LlamaConfig(
        vocab_size=10, hidden_size=8, intermediate_size=4, num_hidden_layers=2, num_attention_heads=2,
    )))  # fmt: skip
    one, other = Meter(), Meter()
    one.pass_of(blocks, 2, 3)
    other.pass_of(blocks, 1, 3)
    other.pass_of(blocks, 2, 3)
    other.prompt(blocks, 4)
    both = one + other
    assert (both.passes, both.depths) == (3, {1: 1, 2: 2})
    assert both.full_macs == 3 * one.full_macs
    assert (both.prompt_tokens, both.prompt_macs) == (4, other.prompt_macs)
    assert (one.passes, one.depths) == (1, {2: 1})  # neither changed


def test_speculation_adds_up_too() -> None:
    both = SpeculationMeter(drafted=4, accepted=1, rounds=2) + SpeculationMeter(drafted=4, accepted=3, rounds=1)
    assert isinstance(both, SpeculationMeter)
    assert (both.drafted, both.accepted, both.rounds, both.acceptance) == (8, 4, 3, 0.5)


def test_no_passes_no_means() -> None:
    empty = SpeculationMeter()
    assert all(map(math.isnan, (empty.mean_depth, empty.macs_saved, empty.acceptance, empty.steps_saved)))
