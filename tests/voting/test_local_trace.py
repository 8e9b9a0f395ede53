from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forethought.core import DecodingPolicy, Question, Target
from forethought.errors import ConfigError
from forethought.models import LanguageModel
from forethought.targets import Responder
from forethought.voting.local_trace import LocalTraceSampler, _TrialEnd
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.sequential_vote import SequentialVote

QUESTION = Question.ask("Which?")
POLICY = DecodingPolicy(max_tokens=6, temperature=1.0)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LanguageModel:
    from transformers import AutoTokenizer, LlamaForCausalLM

    return LanguageModel(
        "tiny", LlamaForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    )


def sampler(model: LanguageModel, policy: DecodingPolicy = POLICY, **options: Any) -> LocalTraceSampler:
    extract = options.pop("extract", lambda question, text: text)
    return LocalTraceSampler(model, Target("t", "tiny", policy), extract, **{"prompt": "Vote.", **options})


def test_trials_follow_each_other_and_are_charged_once(model: LanguageModel) -> None:
    voted = sampler(model, rule=MajorityVote(4)).answer(QUESTION)
    prompt = len(model.render(QUESTION.messages, "Vote.")) + len("[TRIAL] ")
    assert (len(voted.ballot), voted.spent.samples, voted.spent.rounds) == (4, 4, 1)
    assert voted.spent.input_tokens == prompt + 3 * len(" [/TRIAL]\n[TRIAL] ")  # one byte a token
    assert 4 <= voted.spent.output_tokens <= 4 * 6
    assert len(set(voted.ballot.answers)) > 1


def test_the_engine_stops_at_consensus(model: LanguageModel) -> None:
    heard: list[str | None] = []
    voting = sampler(model, rule=SequentialVote(8, 3), extract=lambda question, text: "4")
    voted = voting.answer(QUESTION, on_vote=lambda question, number, answer, verdict: heard.append(answer))
    assert heard == ["4"] * 3
    assert (voted.answer, voted.verdict.consensus) == ("4", True)


def test_an_answer_depends_on_its_number_alone(model: LanguageModel) -> None:
    voting = sampler(model, rule=MajorityVote(2))
    assert isinstance(voting, Responder)
    first, second, again = voting.respond([QUESTION] * 3, [0, 1, 0])
    assert first.text == again.text != second.text


def test_a_full_window_ends_the_vote(model: LanguageModel) -> None:
    voted = sampler(model, DecodingPolicy(max_tokens=150), rule=MajorityVote(9)).answer(QUESTION)
    assert 0 < voted.spent.samples < 9
    assert (voted.verdict.stop, voted.verdict.consensus) == (True, False)
    assert "of at most 9 answers were drawn" in voted.verdict.reason
    long = sampler(model, rule=MajorityVote(2)).answer(Question.ask("x" * 900))
    assert long.spent.samples == 1


def test_a_closing_tag_of_the_models_own_ends_a_trial(model: LanguageModel) -> None:
    end = _TrialEnd(model)
    ids = model.tokenizer("it is [/TRIAL", add_special_tokens=False)["input_ids"]
    assert not any(end(token) for token in ids)
    assert end(model.tokenizer("]", add_special_tokens=False)["input_ids"][0])
    assert end(next(iter(model.eos)))


@pytest.mark.parametrize("policy", [DecodingPolicy(prompt="few_shot"), DecodingPolicy(max_tokens=512)])
def test_policies_refused(model: LanguageModel, policy: DecodingPolicy) -> None:
    with pytest.raises(ConfigError, match=r"chat prompt|window of 512"):
        sampler(model, policy)
