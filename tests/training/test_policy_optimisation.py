from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forethought.allocation import SmoothedMargins
from forethought.core import DecodingPolicy, Question
from forethought.errors import ArtifactError, ConfigError, DataError
from forethought.models import LanguageModel, load
from forethought.training import (
    BestOfN,
    FullWeights,
    InferenceAware,
    LoraConfig,
    LowRank,
    PolicyConfig,
    Practice,
    PricedReward,
    RejectionSampling,
    TraceFormat,
    TraceWriter,
    WrittenTrace,
    chosen_logprobs,
    optimise,
    policy_optimisation,
)
from forethought.voting import SequentialVote

POLICY = DecodingPolicy(temperature=1.0, max_tokens=6)
CONFIG = PolicyConfig(steps=5, prompts=3, samples=4, rate=1e-2, every=2)
RULE = SequentialVote(4, 2)
Chain = Callable[..., LanguageModel]
Ask = Callable[..., list[Question]]


class VotesAreRight(TraceWriter):
    """A made-up task: voting is always right, a single answer never."""

    def write(self, *args: Any, **keywords: Any) -> list[WrittenTrace]:
        traces = super().write(*args, **keywords)
        for trace in traces:
            trace.success = float(trace.voted)
        return traces


def lengths(questions: Sequence[Question]) -> np.ndarray:
    return np.array([[len(question.text) / 8.0] for question in questions])


def practice_of(model: LanguageModel, questions: Sequence[Question], **changes: Any) -> Practice:
    settings = {"form": TraceFormat.of(model), "policy": POLICY, "rule": RULE, **changes}
    return Practice(questions, **settings)


def bits(learner: Any) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learner.parameters]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def smoothed() -> InferenceAware:
    return InferenceAware(0.5, margins="smoothed", smoother=SmoothedMargins(1, penalty=0.5))


def trained(model: LanguageModel, practice: Practice, selection: Any, config: PolicyConfig) -> tuple[Any, list[Any]]:
    learner = FullWeights(model)
    return learner, list(optimise(learner, practice, selection, config))


# --- a run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_killed_run_goes_on_as_if_it_had_not_been(chain: Chain, ask: Ask, tmp_path: Path, after: int) -> None:
    """Weights, history, and what the smoother remembers, to the bit."""
    model = chain(vote=0.5, right=0.6)
    practice = practice_of(model, ask(6), features=lengths)
    memory, whole = smoothed(), FullWeights(model)
    history = list(optimise(whole, practice, memory, CONFIG))
    assert not equal(bits(whole), bits(FullWeights(model)))
    run = optimise(FullWeights(model), practice, smoothed(), CONFIG, checkpoint=tmp_path / "run")
    before = [next(run) for _ in range(after)]
    run.close()  # type: ignore[attr-defined]
    resumed, again = FullWeights(model), smoothed()
    went_on = list(optimise(resumed, practice, again, CONFIG, checkpoint=tmp_path / "run"))
    assert before[: after // 2 * 2] + went_on == history
    assert equal(bits(whole), bits(resumed))
    for name, array in memory.state().items():
        assert np.array_equal(array, again.state()[name])
        assert array.any()


@pytest.mark.parametrize(
    "change", ["config", "selection", "questions", "answers", "policy", "rule", "decide", "weights"]
)
def test_a_checkpoint_of_another_run_is_refused(chain: Chain, ask: Ask, tmp_path: Path, change: str) -> None:
    config = PolicyConfig(steps=2, prompts=2, samples=2, every=1)

    def first(model: LanguageModel, practice: Practice, selection: Any, config: PolicyConfig) -> None:
        next(iter(optimise(FullWeights(model), practice, selection, config, checkpoint=tmp_path / "run")))

    model = chain(right=0.6)
    practice = practice_of(model, ask(4))
    first(model, practice, InferenceAware(0.5), config)
    other = {
        "config": lambda: (model, practice, InferenceAware(0.5), replace(config, seed=1)),
        "selection": lambda: (model, practice, InferenceAware(0.4), config),
        "questions": lambda: (model, practice_of(model, ask(5)), InferenceAware(0.5), config),
        "answers": lambda: (model, practice_of(model, ask(4, answers=("5",))), InferenceAware(0.5), config),
        "policy": lambda: (model, replace(practice, policy=replace(POLICY, top_p=0.9)), InferenceAware(0.5), config),
        "rule": lambda: (model, replace(practice, rule=SequentialVote(5, 2)), InferenceAware(0.5), config),
        "decide": lambda: (
            model, practice_of(model, ask(4), form=TraceFormat.of(model, "before")), InferenceAware(0.5), config
        ),
        "weights": lambda: (chain(right=0.61), practice, InferenceAware(0.5), config),
    }[change]()  # fmt: skip
    with pytest.raises(ArtifactError, match="other settings, other data or other weights"):
        first(*other)
    first(model, practice, InferenceAware(0.5), config)


def test_losses_that_are_not_finite(chain: Chain, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skipped one by one, and too many end the run."""
    bad = {1}
    count = iter(range(10_000))

    def sometimes(model: LanguageModel, texts: Any) -> torch.Tensor:
        found = chosen_logprobs(model, texts)
        return found * float("nan") if torch.is_grad_enabled() and next(count) in bad else found

    monkeypatch.setattr(policy_optimisation, "chosen_logprobs", sometimes)
    model = chain(right=1.0)
    learner, moves = FullWeights(model), []
    before = bits(learner)
    for figures in optimise(learner, practice_of(model, ask(3)), RejectionSampling(), replace(CONFIG, steps=3)):
        moves.append((np.isfinite(figures["loss"]), not equal(before, bits(learner))))
        before = bits(learner)
    assert moves == [(True, True), (False, False), (True, True)]
    bad |= set(range(10_000))
    small = PolicyConfig(steps=40, prompts=1, samples=1)
    with pytest.raises(DataError, match="not finite in 21 steps, the last of them 20"):
        list(optimise(FullWeights(model), practice_of(model, ask(3)), RejectionSampling(), small))


def test_a_batch_without_a_weight_changes_nothing(chain: Chain, ask: Ask) -> None:
    model = chain(right=0.5)
    learner, history = trained(model, practice_of(model, ask(3, answers=("9",))), BestOfN(), CONFIG)
    assert equal(bits(learner), bits(FullWeights(model)))
    for figures in history:
        assert (figures["loss"], figures["weighed"], figures["accuracy"], figures["unsolved"]) == (0, 0, 0, 3)
        assert figures["log_ratio"] == 0


@pytest.mark.parametrize("kind", [FullWeights, LowRank])
def test_accumulated_batches_are_one_large_batch(tiny: LanguageModel, make: Any, ask: Ask, kind: Any) -> None:
    practice = practice_of(tiny, ask(8, answers=tuple("123456789")))
    found = []
    for config in (
        PolicyConfig(steps=2, prompts=4, samples=6, rate=1e-2),
        PolicyConfig(steps=2, prompts=2, samples=3, accumulate_prompts=2, accumulate_samples=2, rate=1e-2),
    ):
        learner = kind(make())
        history = list(optimise(learner, practice, PricedReward(0.3), config))
        assert history[0]["weighed"] > 0
        found.append((bits(learner), history))
    assert equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


# --- what is learnt -------------------------------------------------------------------------------


def shares(history: list[dict[str, float]]) -> tuple[float, float]:
    found = [figures["share"] for figures in history]
    return float(np.mean(found[:5])), float(np.mean(found[-5:]))


def test_a_budget_without_votes_unlearns_them(chain: Chain, ask: Ask) -> None:
    model = chain(vote=0.5, right=1.0)
    config = PolicyConfig(steps=30, prompts=4, samples=4, rate=2e-2)
    _, history = trained(model, practice_of(model, ask(6)), InferenceAware(0.0), config)
    first, last = shares(history)
    assert first > 0.25
    assert last < 0.05
    assert all(figures["accepted_share"] == 0 for figures in history)


@pytest.mark.parametrize("selection", [InferenceAware(1.0), RejectionSampling(), PricedReward(0.2)])
def test_where_voting_is_right_and_answering_once_is_wrong_votes_are_learnt(
    chain: Chain, ask: Ask, monkeypatch: pytest.MonkeyPatch, selection: Any
) -> None:
    monkeypatch.setattr(policy_optimisation, "TraceWriter", VotesAreRight)
    model = chain(vote=0.3, right=0.5)
    config = PolicyConfig(steps=30, prompts=4, samples=4, rate=2e-2)
    _, history = trained(model, practice_of(model, ask(6)), selection, config)
    first, last = shares(history)
    assert first < 0.75
    assert last > 0.9


def test_a_price_above_its_worth_unlearns_votes(chain: Chain, ask: Ask) -> None:
    model = chain(vote=0.5, right=1.0)
    config = PolicyConfig(steps=30, prompts=4, samples=4, rate=2e-2)
    _, history = trained(model, practice_of(model, ask(6)), PricedReward(0.5), config)
    assert shares(history)[1] < 0.1


# --- one update -----------------------------------------------------------------------------------


def stage_of(model: LanguageModel, questions: list[Question], selection: Any, **changes: Any) -> Any:
    config = replace(CONFIG, **{"prompts": 4, "samples": 5, **changes})
    return policy_optimisation._Stage(FullWeights(model), practice_of(model, questions), selection, config)


def test_the_loss_is_the_mean_log_likelihood_by_weight(chain: Chain, ask: Ask) -> None:
    stage = stage_of(chain(right=0.5), ask(6), PricedReward(0.25))
    loss, figures = stage.loss(3)
    traces, rollouts = stage._roll(3)
    weights = PricedReward(0.25).weigh(rollouts, seed=0).weights.reshape(-1)
    assert (weights < 0).any()
    logprob = np.array([trace.logprob for trace in traces])
    assert loss.item() == pytest.approx(-(weights @ logprob) / np.abs(weights).sum(), rel=1e-4)
    assert figures["weighed"] == np.count_nonzero(weights)
    assert figures["accuracy"] == pytest.approx(np.mean([trace.success for trace in traces]))
    assert figures["share"] == pytest.approx(np.mean([trace.voted for trace in traces]))
    assert figures["trials"] == pytest.approx(np.mean([len(trace.trials) for trace in traces]))
    assert figures["tokens"] == pytest.approx(np.mean([len(trace.tokens) for trace in traces]))
    assert figures["unsolved"] == sum(not any(t.success == 1 for t in traces[i : i + 5]) for i in range(0, 20, 5))
    assert figures["reward"] == pytest.approx(rollouts.success.mean() - 0.25 * rollouts.voted.mean())


def test_the_log_ratio_is_of_right_traces_to_the_start(chain: Chain, ask: Ask) -> None:
    stage = stage_of(chain(right=0.5), ask(6), RejectionSampling())
    _, before = stage._roll(0)
    assert np.allclose(before.log_ratio, 0, atol=1e-5)
    start = LanguageModel("start", stage.learner.model.model, stage.learner.model.tokenizer)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for parameter in stage.learner.parameters:
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    traces, after = stage._roll(0)
    with stage.learner.as_reference(), torch.no_grad():
        reference = chosen_logprobs(start, traces).numpy()
    wanted = np.array([trace.logprob for trace in traces]) - reference
    right = np.array([trace.success == 1 for trace in traces])
    assert 0 < right.sum() < 20
    assert np.allclose(after.log_ratio.reshape(-1), np.where(right, wanted, 0), atol=1e-4)
    assert np.abs(wanted[right]).max() > 0.01


def test_rollouts_differ_by_step_and_within_a_question(tiny: LanguageModel, ask: Ask) -> None:
    stage = stage_of(tiny, ask(4), RejectionSampling())
    written = [[tuple(trace.tokens) for trace in stage._roll(step)[0]] for step in (0, 0, 1)]
    assert written[0] == written[1]
    assert len({*written[0], *written[2]}) == 40
    traces, rollouts = stage._roll(2)
    assert [trace.question.id for trace in traces[::5]] == [question.id for question in rollouts.questions]
    assert len({question.id for question in rollouts.questions}) == 4


def test_fewer_questions_than_a_batch_and_features(chain: Chain, ask: Ask) -> None:
    model = chain(right=0.5)
    practice = practice_of(model, ask(3), features=lengths)
    stage = policy_optimisation._Stage(FullWeights(model), practice, smoothed(), replace(CONFIG, prompts=9))
    _, rollouts = stage._roll(0)
    assert rollouts.success.shape == (3, 4)
    assert rollouts.features.tolist() == lengths(rollouts.questions).tolist()


@pytest.mark.parametrize("name", ["steps", "prompts", "samples", "accumulate_prompts", "accumulate_samples", "every"])
def test_counts_below_one_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="steps, prompts, samples, accumulations and every must be >= 1"):
        PolicyConfig(**{name: 0})


def test_no_question_is_no_practice(tiny: LanguageModel) -> None:
    with pytest.raises(DataError, match="practice needs at least one question"):
        practice_of(tiny, [])


@pytest.mark.slow
@pytest.mark.integration
def test_the_embedded_model_practises_and_is_killed(tmp_path: Path) -> None:
    """Three updates of 4 prompts and 4 samples of some 40 tokens each, killed after two."""
    questions = [Question.ask(f"What is {a} + {a}?", answers=(str(2 * a),), grader="number") for a in (1, 2, 3, 5, 10)]
    config = PolicyConfig(steps=3, prompts=4, samples=4, rate=1e-3, every=1)

    def run(folder: Path | None, steps: int) -> tuple[LowRank, list[dict[str, float]]]:
        learner = LowRank(load("smollm2-135m-instruct"), LoraConfig(rank=2))
        practice = Practice(
            questions, TraceFormat.of(learner.model), DecodingPolicy(temperature=1.0, max_tokens=12),
            SequentialVote(3, 2),
        )  # fmt: skip
        going = optimise(learner, practice, RejectionSampling(), config, checkpoint=folder)
        return learner, [next(going) for _ in range(steps)]

    whole, history = run(None, 3)
    assert all(figures["weighed"] > 0 for figures in history)
    _, before = run(tmp_path / "run", 2)
    resumed, after = run(tmp_path / "run", 1)
    assert before + after == history
    assert equal(bits(whole), bits(resumed))
    assert any(
        parameter.abs().max() > 0 for name, parameter in resumed.model.model.named_parameters() if "lora_B" in name
    )
