from __future__ import annotations

import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.confidences import GateConfidence, SoftmaxGap
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.free_running import answer_cost, batches, free_run, unadapted
from forethought.early_exit.model import ExitModel
from forethought.early_exit.rules import Never, Sampled, StaticCut, Threshold
from forethought.early_exit.task import Task
from forethought.errors import ConfigError
from forethought.questions import arithmetic_questions
from forethought.targets.generation import Generator, Prompt

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(arithmetic_exits: ExitModel) -> ExitModel:
    return arithmetic_exits


@pytest.fixture(scope="module")
def task(model: ExitModel) -> Task:
    return Task(model.base, DecodingPolicy(max_tokens=24), arithmetic_questions("test", 6, seed=0))


def rules(model: ExitModel) -> list[Never | StaticCut | Threshold | Sampled]:
    gate, gap = GateConfidence(model), SoftmaxGap(model)
    return [Never(), StaticCut(2), Threshold(gate, 0.5), Threshold(gap, 0.6), Sampled(gate)]


def test_costs_of_answers_add_up_to_the_decoders_meter(model: ExitModel, task: Task) -> None:
    for rule in rules(model):
        run = free_run(model, rule, task, batch_size=1)
        costs = [
            answer_cost(model, rule, len(prompt.ids), answer.depths)
            for prompt, answer in zip(run.prompts, run.answers, strict=True)
        ]
        meter = run.meter
        assert [sum(parts) for parts in zip(*costs, strict=True)] == [
            meter.passes,
            meter.layers,
            meter.macs,
            meter.full_macs,
        ]


def test_costs_add_up_in_a_batch_too_where_no_answer_ends_early(model: ExitModel, task: Task) -> None:
    prompts = task.prompts()
    for rule in rules(model):
        decoder = ExitDecoder(model, rule, task.policy, stops=lambda token: False)
        answers = decoder.generate(prompts, range(6), [task.key(i, 0) for i in range(6)])
        costs = [
            answer_cost(model, rule, len(prompt.ids), answer.depths)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        assert sum(cost.macs for cost in costs) == decoder.meter.macs
        assert sum(cost.full_macs for cost in costs) == decoder.meter.full_macs


def test_a_batch_computes_more_than_its_answers_cost(model: ExitModel, task: Task) -> None:
    run = free_run(unadapted(model), Never(), task, batch_size=6)
    lengths = {len(answer.tokens) for answer in run.answers}
    assert len(lengths) > 1
    costs = [
        answer_cost(model, Never(), len(prompt.ids), answer.depths).macs
        for prompt, answer in zip(run.prompts, run.answers, strict=True)
    ]
    assert sum(costs) < run.meter.macs


def test_full_depth_costs_what_the_unmodified_model_costs(model: ExitModel) -> None:
    cost = answer_cost(model, Never(), 10, [6] * 8)
    assert cost.macs == cost.full_macs
    assert (cost.passes, cost.layers) == (7, 42)


def test_an_answer_of_one_token_costs_nothing(model: ExitModel) -> None:
    assert answer_cost(model, Never(), 10, [6]) == (0, 0, 0, 0)


def test_unadapted_writes_what_the_model_writes(model: ExitModel, task: Task) -> None:
    generator = Generator(model.base, task.policy, model.base.eos.__contains__)
    run = free_run(unadapted(model), Never(), task, batch_size=4)
    plain = [generator.generate([prompt], [0], [b""])[0].tokens for prompt in run.prompts]
    assert [answer.tokens for answer in run.answers] == plain
    assert model.student is not model.teacher
    assert [answer.tokens for answer in free_run(model, Never(), task).answers] != plain


def test_batches_change_no_answer(model: ExitModel, task: Task) -> None:
    for rule in rules(model):
        one, four = (free_run(model, rule, task, batch_size=size).answers for size in (1, 4))
        assert [(a.tokens, a.depths) for a in one] == [(a.tokens, a.depths) for a in four]


def test_prompts_of_a_batch_share_their_prefix() -> None:
    prompts = [Prompt((1, 2, *range(i)), 2 if i % 2 else 1) for i in range(1, 8)]
    found = list(batches(prompts, 3))
    assert sorted(i for batch in found for i in batch) == list(range(7))
    assert all(len({prompts[i].prefix for i in batch}) == 1 and len(batch) <= 3 for batch in found)
    assert len(found) == 3


def test_progress_is_told_and_a_size_is_needed(model: ExitModel, task: Task) -> None:
    told: list[tuple[int, int]] = []
    free_run(model, StaticCut(1), task, batch_size=4, report=lambda done, total, text="": told.append((done, total)))
    assert told == [(4, 6), (6, 6)]
    with pytest.raises(ConfigError, match="batch_size must be >= 1, got 0"):
        free_run(model, Never(), task, batch_size=0)


def test_a_traced_answer_stands_at_its_question(model: ExitModel, task: Task) -> None:
    run = free_run(model, StaticCut(2), task, batch_size=2)
    assert [(trace.question, trace.prompt, trace.tokens) for trace in run.traces] == [
        (i, prompt, run.answers[i].tokens) for i, prompt in enumerate(task.prompts())
    ]
