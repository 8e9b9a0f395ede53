from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.cache_policies import LeaveEmpty
from forethought.early_exit.confidences import GateConfidence, SoftmaxGap, StateSaturation
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.model import ExitModel
from forethought.early_exit.rules import Never, Sampled, StaticCut, Threshold
from forethought.errors import ConfigError, DataError
from forethought.models import LanguageModel
from forethought.targets.generation import Generator, Prompt

SAMPLED = DecodingPolicy(max_tokens=12, temperature=1.0, top_p=0.9)


def rare(token: int) -> bool:
    """Ends answers at different lengths."""
    return token % 9 == 4


def alone(decoder: ExitDecoder, prompts: list[Prompt], keys: list[bytes]) -> list[Any]:
    return [decoder.generate([prompt], [0], [key])[0] for prompt, key in zip(prompts, keys, strict=True)]


@pytest.mark.parametrize("policy", [DecodingPolicy(max_tokens=12), SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3", "Mistral", "Gemma2", "Gemma3"])
def test_at_full_depth_without_adapters_it_is_the_plain_generator(
    make: Callable[..., LanguageModel], exits: Callable[..., ExitModel], prompts: list[Prompt], keys: list[bytes],
    family: str, policy: DecodingPolicy,
) -> None:  # fmt: skip
    base = make(family)
    model = exits(base, noise=0.0)
    plain = [Prompt(prompt.ids, 0) for prompt in prompts] if model.teacher.window else prompts
    wanted = Generator(base, policy, rare).generate(plain, range(5), keys)
    found = ExitDecoder(model, Never(), policy, stops=rare).generate(prompts, range(5), keys)
    assert [(a.tokens, a.finish) for a in found] == [(a.tokens, a.finish) for a in wanted]
    assert [a.logprob for a in found] == pytest.approx([a.logprob for a in wanted], abs=1e-5)
    assert len({len(a.tokens) for a in found}) > 1  # rows finished at different times
    assert all(a.depths == [4] * len(a.tokens) for a in found)


@torch.no_grad()
def test_full_depth_logits_are_the_models_own_to_the_last_bit(
    base: LanguageModel, exits: Callable[..., ExitModel], drive: Callable[..., Any], prompts: list[Prompt],
    greedy: DecodingPolicy,
) -> None:  # fmt: skip
    logits, answers = drive(ExitDecoder(exits(base, noise=0.0), Never(), greedy), prompts)
    own = Generator(base, greedy, lambda token: False)
    seen: list[torch.Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        from forethought.targets import generation

        chosen = generation.choose_tokens
        patch.setattr(generation, "choose_tokens", lambda *given: seen.append(given[0]) or chosen(*given))
        generated = own.generate(prompts, range(5), [b"k"] * 5)
    assert [answer.tokens for answer in answers] == [answer.tokens for answer in generated]
    assert torch.equal(logits, torch.stack(seen, dim=1))


def rules(model: ExitModel, at_random: Callable[[float], Any]) -> list[Any]:
    return [
        at_random(0.4),
        Sampled(GateConfidence(model)),
        Threshold(GateConfidence(model), 0.6),
        Threshold(SoftmaxGap(model), 0.02),
        Threshold(StateSaturation(model), 0.8),
        StaticCut(2),
    ]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("policy", [DecodingPolicy(max_tokens=12), SAMPLED], ids=["greedy", "sampled"])
def test_an_answer_does_not_depend_on_its_batch(
    model: ExitModel, at_random: Callable[[float], Any], prompts: list[Prompt], keys: list[bytes],
    policy: DecodingPolicy, number: int,
) -> None:  # fmt: skip
    decoder = ExitDecoder(model, rules(model, at_random)[number], policy, stops=rare)
    batch = decoder.generate(prompts, range(5), keys)
    single = alone(decoder, prompts, keys)
    assert [(a.tokens, a.depths, a.finish) for a in batch] == [(a.tokens, a.depths, a.finish) for a in single]
    assert [a.logprob for a in batch] == pytest.approx([a.logprob for a in single], abs=1e-4)
    assert all(answer.depths[0] == 4 for answer in batch)
    deep = {depth for answer in batch for depth in answer.depths[1:]}
    assert deep
    assert deep <= {1, 2, 3, 4}
    assert deep != {4}


def test_rows_repeat_prompts_in_any_order(model: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    decoder = ExitDecoder(model, Sampled(GateConfidence(model)), SAMPLED, stops=rare)
    rows = [3, 0, 3, 1]
    found = decoder.generate(prompts, rows, keys[:4])
    wanted = [decoder.generate([prompts[row]], [0], [key])[0] for row, key in zip(rows, keys, strict=False)]
    assert [(a.tokens, a.depths) for a in found] == [(a.tokens, a.depths) for a in wanted]


@pytest.mark.parametrize("family", ["Mistral", "Gemma3"])
def test_a_sliding_window_does_not_count_padding_nor_do_prefixes_mix(
    make: Callable[..., LanguageModel], exits: Callable[..., ExitModel], at_random: Callable[[float], Any],
    prompts: list[Prompt], keys: list[bytes], greedy: DecodingPolicy, family: str,
) -> None:  # fmt: skip
    decoder = ExitDecoder(exits(make(family)), at_random(0.3), greedy, stops=rare)
    others = [*prompts[:3], Prompt((1, 2, 3, 4), 3), Prompt((9,), 0)]
    for asked in (prompts, others):
        batch = decoder.generate(asked, range(5), keys)
        assert [a.tokens for a in batch] == [a.tokens for a in alone(decoder, asked, keys)]


@pytest.mark.parametrize("policy", [DecodingPolicy(max_tokens=12), SAMPLED], ids=["greedy", "sampled"])
def test_a_stream_tells_what_generate_returns(
    model: ExitModel, at_random: Callable[[float], Any], prompts: list[Prompt], keys: list[bytes],
    policy: DecodingPolicy,
) -> None:  # fmt: skip
    decoder = ExitDecoder(model, at_random(0.4), policy, stops=rare)
    whole = alone(decoder, prompts, keys)
    streams = [decoder.stream(prompt, key) for prompt, key in zip(prompts, keys, strict=True)]
    told: list[list[tuple[int, int]]] = [[] for _ in streams]
    for _ in range(12):  # all at once, turn by turn
        for text, stream in zip(told, streams, strict=True):
            text.extend([pair] if (pair := next(stream, None)) else [])
    assert all(next(stream, None) is None for stream in streams)
    assert told == [list(zip(answer.tokens, answer.depths, strict=True)) for answer in whole]


def test_an_answer_of_one_token_needs_no_pass(model: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> None:
    decoder = ExitDecoder(model, StaticCut(1), DecodingPolicy(max_tokens=1))
    answers = decoder.generate(prompts, range(5), keys)
    assert [len(answer.tokens) for answer in answers] == [1] * 5
    assert (decoder.meter.passes, decoder.meter.macs) == (0, 0)
    assert decoder.meter.prompt_tokens == sum(len(prompt.ids) for prompt in prompts)


def test_nothing_asked_nothing_answered(model: ExitModel, greedy: DecodingPolicy) -> None:
    assert ExitDecoder(model, Never(), greedy).generate([], [], []) == []


def test_a_prompt_beyond_the_window_is_refused(model: ExitModel, make_prompts: Callable[..., list[Prompt]]) -> None:
    decoder = ExitDecoder(model, StaticCut(1), DecodingPolicy(max_tokens=100))
    [fits, exceeds] = make_prompts([28, 29])
    assert len(decoder.generate([fits], [0], [b"k"])[0].tokens) > 1
    with pytest.raises(DataError, match=r"29 tokens and an answer of 100 exceed the window of 128; allowed .* 28"):
        decoder.generate([fits, exceeds], [0, 1], [b"k", b"l"])
    with pytest.raises(DataError, match="exceed the window of 128"):
        next(decoder.stream(exceeds, b"k"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("confidence", [GateConfidence, SoftmaxGap, StateSaturation])
def test_a_lost_state_goes_to_full_depth_and_is_counted(
    model: ExitModel, prompts: list[Prompt], keys: list[bytes], monkeypatch: pytest.MonkeyPatch,
    confidence: Callable[[ExitModel], Any], value: float,
) -> None:  # fmt: skip
    layer = model.student.layer

    def overflowing(index: int, *given: Any) -> torch.Tensor:
        new = layer(index, *given)
        if index == 0:
            new[1, -1, 5] = value
        return new

    monkeypatch.setattr(model.student, "layer", overflowing)
    rule = Threshold(confidence(model), 0.0)
    decoder = ExitDecoder(model, rule, DecodingPolicy(max_tokens=2), stops=lambda _: False)
    answers = decoder.generate(prompts, range(5), keys)
    assert [answer.depths[1] for answer in answers] == [1, 4, 1, 1, 1]
    assert decoder.meter.lost_looks == 3  # one at each exit


def test_empty_keys_need_a_rule_that_never_looks_at_them(model: ExitModel, greedy: DecodingPolicy) -> None:
    with pytest.raises(ConfigError, match=r"LeaveEmpty needs a rule that is monotone .* got 'threshold'"):
        ExitDecoder(model, Threshold(GateConfidence(model), 0.5), greedy, cache_policy=LeaveEmpty())
