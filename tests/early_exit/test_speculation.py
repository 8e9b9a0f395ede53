from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.base import Look
from forethought.early_exit.confidences import GateConfidence
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.model import ExitModel
from forethought.early_exit.rules import Never, StaticCut, Threshold
from forethought.early_exit.speculation import Drafting, SpeculativeDecoder
from forethought.errors import ConfigError, DataError
from forethought.models import LanguageModel
from forethought.targets.generation import Generated, Generator, Prompt

GREEDY = DecodingPolicy(max_tokens=12)


def rare(token: int) -> bool:
    return token % 9 == 4


def never(token: int) -> bool:
    return False


def plain(
    base: LanguageModel, prompts: list[Prompt], stops: Callable[[int], bool], policy: DecodingPolicy = GREEDY
) -> list[Generated]:
    """What the unmodified model says to each prompt."""
    return [Generator(base, policy, stops).generate([prompt], [0], [b"k"])[0] for prompt in prompts]


@pytest.fixture(scope="module")
def agreeing(make: Callable[..., LanguageModel], exits: Callable[..., ExitModel]) -> ExitModel:
    """Layers that change little: drafts are often right, and often wrong."""
    base = make("Llama", seed=5)
    with torch.no_grad():
        for layer in base.model.model.layers[1:]:
            layer.self_attn.o_proj.weight.mul_(0.2)
            layer.mlp.down_proj.weight.mul_(0.2)
    return exits(base, map_rank=0)


@pytest.mark.parametrize("stops", [rare, never])
@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 2, 3, 5, 40])
def test_answers_are_those_of_greedy_decoding(
    agreeing: ExitModel, prompts: list[Prompt], keys: list[bytes], length: int, layer: int,
    stops: Callable[[int], bool],
) -> None:  # fmt: skip
    decoder = SpeculativeDecoder(agreeing, GREEDY, Drafting(layer, length), stops=stops)
    found = decoder.generate(prompts, range(5), keys)
    wanted = plain(agreeing.base, prompts, stops)
    assert [(a.tokens, a.finish) for a in found] == [(a.tokens, a.finish) for a in wanted]
    assert [a.logprob for a in found] == pytest.approx([a.logprob for a in wanted], abs=1e-4)
    assert all(answer.depths == [4] * len(answer.tokens) for answer in found)
    meter = decoder.meter
    assert 0 < meter.accepted < meter.drafted  # both ways were taken
    passed = sum(len(answer.tokens) for answer in found) - 5
    assert meter.passes == passed
    assert meter.depths == {4: passed}
    assert meter.layers % 4 == 0  # what passes the lower layers passes the upper ones, once
    states = meter.layers // 4
    assert passed <= states <= passed + meter.drafted - meter.accepted
    assert meter.steps == layer * states + (4 - layer) * meter.rounds


@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3", "Mistral", "Gemma2", "Gemma3"])
def test_in_every_family_with_any_heads(
    make: Callable[..., LanguageModel], exits: Callable[..., ExitModel], prompts: list[Prompt], keys: list[bytes],
    family: str,
) -> None:  # fmt: skip
    model = exits(make(family))
    found = SpeculativeDecoder(model, GREEDY, Drafting(2, 3), stops=rare).generate(prompts, range(5), keys)
    assert [a.tokens for a in found] == [a.tokens for a in plain(model.base, prompts, rare)]


@pytest.mark.parametrize("most", range(1, 8))
def test_the_longest_answer_may_end_inside_a_draft(
    agreeing: ExitModel, prompts: list[Prompt], keys: list[bytes], most: int
) -> None:
    policy = replace(GREEDY, max_tokens=most)
    decoder = SpeculativeDecoder(agreeing, policy, Drafting(3, 4), stops=never)
    found = decoder.generate(prompts, range(5), keys)
    assert [a.tokens for a in found] == [a.tokens for a in plain(agreeing.base, prompts, never, policy)]
    assert [a.finish for a in found] == ["length"] * 5
    assert decoder.meter.passes == 5 * (most - 1)


def test_an_end_inside_a_draft_ends_the_answer(agreeing: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    [text] = plain(agreeing.base, prompts[:1], never)
    for place, token in enumerate(text.tokens):
        if token in text.tokens[:place]:
            continue
        decoder = SpeculativeDecoder(agreeing, GREEDY, Drafting(3, 12), stops=token.__eq__)
        [answer] = decoder.generate(prompts[:1], [0], keys[:1])
        assert (answer.tokens, answer.finish) == (text.tokens[: place + 1], "stop")


class Told:
    """Drafts a token as often in a row as it is told."""

    name = "told"
    macs = 3

    def __init__(self, sure: list[bool]) -> None:
        self.sure = sure
        self.steps: list[int] = []

    def leaves(self, look: Look) -> torch.Tensor:
        assert (look.layer, look.exit, look.keys) == (2, 1, [b"k"])
        assert look.hidden.shape == look.before.shape == (1, 32)
        assert not torch.equal(look.hidden, look.before)
        self.steps.append(look.step)
        return torch.tensor([self.sure[len(self.steps) % len(self.sure)]])


def test_drafting_stops_where_the_rule_is_not_sure(agreeing: ExitModel, prompts: list[Prompt]) -> None:
    rule = Told([True, True, False])
    decoder = SpeculativeDecoder(agreeing, GREEDY, Drafting(2, 5, rule), stops=never)
    [answer] = decoder.generate(prompts[:1], [0], [b"k"])
    assert [answer.tokens] == [a.tokens for a in plain(agreeing.base, prompts[:1], never)]
    assert rule.steps[0] == 1
    assert max(rule.steps) <= 11
    assert decoder.meter.drafted < 3 * decoder.meter.rounds


def test_never_sure_is_plain_decoding(agreeing: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    decoder = SpeculativeDecoder(agreeing, GREEDY, Drafting(2, 5, Never()), stops=rare)
    found = decoder.generate(prompts, range(5), keys)
    assert [a.tokens for a in found] == [a.tokens for a in plain(agreeing.base, prompts, rare)]
    meter = decoder.meter
    assert (meter.drafted, meter.rounds, meter.layers, meter.steps) == (
        0,
        meter.passes,
        4 * meter.passes,
        meter.full_steps,
    )
    assert meter.macs == meter.full_macs


def test_always_sure_is_no_rule_at_all(agreeing: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    with_rule = SpeculativeDecoder(agreeing, GREEDY, Drafting(2, 3, StaticCut(1)), stops=rare)
    without = SpeculativeDecoder(agreeing, GREEDY, Drafting(2, 3), stops=rare)
    assert with_rule.generate(prompts, range(5), keys) == without.generate(prompts, range(5), keys)
    assert with_rule.meter == without.meter


def test_a_confident_gate_drafts_more(agreeing: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    drafted = []
    for threshold in (0.2, 0.5, 0.8):
        rule = Threshold(GateConfidence(agreeing), threshold)
        decoder = SpeculativeDecoder(agreeing, GREEDY, Drafting(2, 4, rule), stops=never)
        found = decoder.generate(prompts, range(5), keys)
        assert [a.tokens for a in found] == [a.tokens for a in plain(agreeing.base, prompts, never)]
        drafted.append(decoder.meter.drafted / decoder.meter.rounds)
    assert drafted[0] > drafted[1] > drafted[2]


def test_a_perfect_draft_is_taken_whole_and_no_layer_runs_twice(
    make: Callable[..., LanguageModel], exits: Callable[..., ExitModel], prompts: list[Prompt]
) -> None:
    base = make("Llama", seed=5)
    with torch.no_grad():
        for layer in base.model.model.layers[1:]:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    decoder = SpeculativeDecoder(exits(base, map_rank=0), GREEDY, Drafting(1, 4), stops=never)
    [answer] = decoder.generate(prompts[:1], [0], [b"k"])
    meter = decoder.meter
    assert len(answer.tokens) == 12
    assert (meter.acceptance, meter.rounds, meter.drafted) == (1.0, 3, 4 + 4 + 0)  # 11 tokens: 5, 5 and 1
    assert meter.layers == 4 * 11
    assert (meter.steps, meter.full_steps) == (11 * 1 + 3 * 3, 4 * 11)
    assert meter.steps_saved == pytest.approx(1 - 20 / 44)
    assert meter.macs > meter.full_macs  # the head ran for drafts too: steps are saved, not arithmetic


def test_a_stream_tells_what_generate_returns(agreeing: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    decoder = SpeculativeDecoder(agreeing, GREEDY, Drafting(3, 3), stops=rare)
    for prompt, key, answer in zip(prompts, keys, decoder.generate(prompts, range(5), keys), strict=True):
        assert list(decoder.stream(prompt, key)) == list(zip(answer.tokens, answer.depths, strict=True))


def test_it_is_the_teacher_that_speaks(model: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    spoken = SpeculativeDecoder(model, GREEDY, Drafting(1, 2), stops=never).generate(prompts, range(5), keys)
    adapted = ExitDecoder(model, Never(), GREEDY, stops=never).generate(prompts, range(5), keys)
    assert [a.tokens for a in spoken] != [a.tokens for a in adapted]


def test_what_cannot_be_had_is_refused(model: ExitModel, make_prompts: Callable[..., list[Prompt]]) -> None:
    with pytest.raises(ConfigError, match=r"temperature must be 0, got 0.7"):
        SpeculativeDecoder(model, DecodingPolicy(temperature=0.7), Drafting(1, 2))
    with pytest.raises(ConfigError, match=r"no exit before layer 4: there are \[1, 2, 3\]"):
        SpeculativeDecoder(model, GREEDY, Drafting(4, 2))
    with pytest.raises(ConfigError, match="a draft needs a length >= 1, got 0"):
        Drafting(1, 0)
    with pytest.raises(DataError, match="exceed the window of 128"):
        SpeculativeDecoder(model, GREEDY, Drafting(1, 2)).generate(make_prompts([117]), [0], [b"k"])
