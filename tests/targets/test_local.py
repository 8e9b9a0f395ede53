from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.core import DecodingPolicy, Question, Target
from forethought.errors import ConfigError, DataError
from forethought.models import LanguageModel, load
from forethought.targets import LocalResponder, Responder
from forethought.targets.generation import _cache_keyword
from forethought.targets.sampling import sample_key

TEXTS = ["Hi", "What is the capital of France?", "a" * 70, "Name a plural.", "7", "Zürich?"]
QUESTIONS = [Question.ask(text, group="g") for text in TEXTS]
EXAMPLES = {"g": [Question.ask("One?", answers=("1",)), Question.ask("Two?", answers=("2",))]}
POLICIES = {
    "greedy": DecodingPolicy(max_tokens=12),
    "sampled": DecodingPolicy(max_tokens=12, temperature=1.0),
    "nucleus": DecodingPolicy(max_tokens=12, temperature=1.5, top_p=0.8, system="Be brief."),
    "few_shot": DecodingPolicy(prompt="few_shot", shots=2, max_tokens=12, temperature=1.0),
}


def responder(model: LanguageModel, policy: DecodingPolicy, **options: object) -> LocalResponder:
    return LocalResponder(model, Target("t", "tiny", policy), examples=EXAMPLES, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_an_answer_does_not_depend_on_its_batch(model: LanguageModel, policy: DecodingPolicy) -> None:
    asked = [(question, sample) for question in QUESTIONS for sample in range(3)]
    random.Random(0).shuffle(asked)
    batched = responder(model, policy, batch_size=7).respond(*zip(*asked, strict=True))
    for (question, sample), answer in zip(asked, batched, strict=True):
        [alone] = responder(model, policy, batch_size=1).respond([question], [sample])
        assert (answer.text, answer.output_tokens, answer.finish) == (alone.text, alone.output_tokens, alone.finish)
        assert answer.input_tokens == alone.input_tokens
        assert answer.mean_logprob == pytest.approx(alone.mean_logprob, abs=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=9), st.integers(1, 5))
def test_any_selection_gives_the_same_answers(model: LanguageModel, picks: list[tuple[int, int]], size: int) -> None:
    policy = POLICIES["sampled"]
    every = responder(model, policy).respond([q for q in QUESTIONS for _ in range(4)], [0, 1, 2, 3] * len(QUESTIONS))
    some = responder(model, policy, batch_size=size).respond([QUESTIONS[i] for i, _ in picks], [s for _, s in picks])
    assert [answer.text for answer in some] == [every[4 * i + s].text for i, s in picks]


def test_greedy_equals_generate(model: LanguageModel) -> None:
    answers = responder(model, POLICIES["greedy"]).respond(QUESTIONS, [0] * len(QUESTIONS))
    for question, answer in zip(QUESTIONS, answers, strict=True):
        ids = model.render(question.messages)
        whole = model.model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, max_new_tokens=12
        )[0]
        assert answer.text == model.tokenizer.decode(whole[len(ids) :], skip_special_tokens=True).strip()
        assert answer.output_tokens == len(whole) - len(ids)
        assert answer.input_tokens == len(ids)


def test_mean_logprob_is_that_of_one_forward(model: LanguageModel) -> None:
    policy = replace(POLICIES["greedy"], max_tokens=1)
    [answer] = responder(model, policy).respond([QUESTIONS[1]], [0])
    with torch.inference_mode():
        logits = model.model(torch.tensor([model.render(QUESTIONS[1].messages)])).logits[0, -1]
    assert answer.mean_logprob == pytest.approx(float(logits.log_softmax(-1).max()), abs=1e-4)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_streamed_answer_is_the_whole_one(model: LanguageModel, policy: DecodingPolicy) -> None:
    local = responder(model, policy)
    for question, prompt in zip(QUESTIONS, local.prompts(QUESTIONS), strict=True):
        [whole] = local.respond([question], [2])
        tokens = list(local.stream(prompt, sample_key(0, question.id, 2)))
        text = model.tokenizer.decode([token.id for token in tokens], skip_special_tokens=True)
        assert (text.partition("\n")[0] if policy.prompt == "few_shot" else text).strip() == whole.text
        assert len(tokens) == whole.output_tokens
        assert ["length", "stop"][tokens[-1].stop] == whole.finish
        assert sum(token.logprob for token in tokens) / len(tokens) == pytest.approx(whole.mean_logprob, abs=1e-4)


def test_a_streamed_answer_may_have_a_policy_of_its_own(model: LanguageModel) -> None:
    local = responder(model, POLICIES["greedy"])
    [prompt] = local.prompts(QUESTIONS[:1])
    short = list(local.stream(prompt, b"key", replace(POLICIES["greedy"], max_tokens=3)))
    assert [token.id for token in short] == [token.id for token in local.stream(prompt, b"key")][:3]


def test_samples_and_seeds_differ(model: LanguageModel) -> None:
    texts = {answer.text for answer in responder(model, POLICIES["sampled"]).respond(QUESTIONS[:1] * 8, range(8))}
    other = responder(model, POLICIES["sampled"], seed=1).respond(QUESTIONS[:1] * 8, range(8))
    assert len(texts) > 4
    assert {answer.text for answer in other} != texts


def test_few_shot_stops_at_the_newline_and_chat_does_not(model: LanguageModel) -> None:
    hot = DecodingPolicy(max_tokens=60, temperature=3.0)
    chat = responder(model, hot).respond(QUESTIONS[:1] * 60, range(60))
    shots = responder(model, replace(hot, prompt="few_shot", shots=2)).respond(QUESTIONS[:1] * 60, range(60))
    assert any("\n" in answer.text for answer in chat)
    assert not any("\n" in answer.text for answer in shots)
    assert any(answer.finish == "stop" and answer.output_tokens < 60 for answer in shots)
    assert all(answer.output_tokens == 60 for answer in shots if answer.finish == "length")


def test_long_text_loses_its_middle_and_keeps_the_template(build: Callable[..., LanguageModel]) -> None:
    small = build(context=96)
    long = Question.ask("start " + "x" * 500 + " end", group="g")
    [answer] = responder(small, POLICIES["greedy"]).respond([long], [0])
    assert answer.input_tokens == 96 - 12
    text = small.tokenizer.decode(small.render(long.messages, limit=84))
    assert text.startswith("<s>user\nstart x")
    assert text.endswith("x end</s>\n<s>assistant")
    [shot] = responder(small, replace(POLICIES["few_shot"], shots=1)).respond([long], [0])
    assert shot.input_tokens == 96 - 12


def test_a_template_longer_than_the_window_is_an_error(build: Callable[..., LanguageModel]) -> None:
    policy = replace(POLICIES["greedy"], system="s" * 200)
    with pytest.raises(DataError, match="leaves no room"):
        responder(build(context=64), policy).respond([Question.ask("x" * 100)], [0])


def test_too_few_examples(model: LanguageModel) -> None:
    with pytest.raises(DataError, match="group 'other' has 0 solved examples"):
        responder(model, POLICIES["few_shot"]).respond([Question.ask("Hi", group="other")], [0])


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        (DecodingPolicy(votes=3, temperature=1.0), {}, "VotingResponder"),
        (DecodingPolicy(), {"batch_size": 0}, "batch_size"),
        (DecodingPolicy(max_tokens=512), {}, "window of 512"),
    ],
)
def test_impossible_settings(model: LanguageModel, policy: DecodingPolicy, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        responder(model, policy, **options)


def test_misaligned_samples(model: LanguageModel) -> None:
    with pytest.raises(DataError, match="6 questions but 1"):
        responder(model, POLICIES["greedy"]).respond(QUESTIONS, [0])


def test_protocol_and_empty_call(model: LanguageModel) -> None:
    local = responder(model, POLICIES["greedy"])
    assert isinstance(local, Responder)
    assert local.respond([], []) == []


@pytest.mark.integration
def test_the_embedded_model_knows_paris() -> None:
    smol = load("smollm2-135m-instruct")
    questions = [Question.ask(f"What is the capital of {name}?") for name in ("France", "Japan", "Norway")]
    local = LocalResponder(smol, Target("smol", smol.name, DecodingPolicy(max_tokens=12)))
    together = local.respond(questions, [0, 0, 0])
    assert "Paris" in together[0].text
    assert [answer.text for answer in together] == [local.respond([q], [0])[0].text for q in questions]


def test_the_cache_goes_by_the_name_that_the_model_knows() -> None:
    def old(input_ids: object, past_key_values: object) -> None: ...

    def new(input_ids: object, cache: object, **kwargs: object) -> None: ...

    assert (_cache_keyword(old), _cache_keyword(new)) == ("past_key_values", "cache")
