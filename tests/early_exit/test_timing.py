from __future__ import annotations

import numpy as np
import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.base import ExitRule
from forethought.early_exit.confidences import GateConfidence, SoftmaxGap
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.free_running import free_run, unadapted
from forethought.early_exit.model import ExitModel
from forethought.early_exit.rules import Never, Sampled, StaticCut, Threshold
from forethought.early_exit.task import Task
from forethought.early_exit.timing import Timing, implied_saving, time_rules
from forethought.errors import ConfigError, DataError
from forethought.questions import arithmetic_questions
from forethought.targets.generation import Prompt

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(arithmetic_exits: ExitModel) -> ExitModel:
    return arithmetic_exits


@pytest.fixture(scope="module")
def task(model: ExitModel) -> Task:
    return Task(model.base, DecodingPolicy(max_tokens=40), arithmetic_questions("test", 4, seed=0))


def run(model: ExitModel, task: Task, rule: ExitRule, tokens: int) -> tuple[ExitDecoder, np.ndarray, np.ndarray]:
    """One batch of answers that do not end: the decoder, lengths of prompts, and depths."""
    prompts = task.prompts()
    decoder = ExitDecoder(model, rule, DecodingPolicy(max_tokens=tokens), stops=lambda token: False)
    answers = decoder.generate(prompts, range(len(prompts)), [task.key(i, 0) for i in range(len(prompts))])
    lengths = np.array([len(prompt.ids) for prompt in prompts])
    return decoder, lengths, np.array([answer.depths[1:] for answer in answers])


def test_rows_are_implied_as_the_meter_counts_them(model: ExitModel, task: Task) -> None:
    gate = GateConfidence(model)
    for rule in (Never(), StaticCut(2), Threshold(gate, 0.5), Threshold(SoftmaxGap(model), 0.6), Sampled(gate)):
        decoder, lengths, depths = run(model, task, rule, 12)
        implied = implied_saving(model, rule, [lengths], [depths])
        assert implied.rows == pytest.approx(decoder.meter.macs_saved, abs=1e-12)
        assert implied.mean_depth == pytest.approx(decoder.meter.mean_depth)
        assert depths.max(axis=0).sum() == decoder.meter.steps
        assert implied.steps <= implied.rows + 1e-12


def test_batches_of_one_need_the_layers_of_their_row(model: ExitModel, task: Task) -> None:
    rule = Sampled(GateConfidence(model))
    _, lengths, depths = run(model, task, rule, 12)
    alone = implied_saving(model, rule, np.split(lengths, 4), np.split(depths, 4))
    together = implied_saving(model, rule, [lengths], [depths])
    assert alone.rows == alone.steps == together.rows
    assert together.steps < alone.steps


def test_layer_steps_by_hand(model: ExitModel) -> None:
    blocks = model.student
    # One pass of two rows behind prompts of 9 and 4 tokens; the deeper row makes its layers run for both.
    implied = implied_saving(model, StaticCut(1), [np.array([9, 4])], [np.array([[2], [4]])])
    keys = 10 + 5
    full = 2 * sum(blocks.layer_macs) + 6 * blocks.attention_macs * keys + 2 * blocks.head_macs
    aside = 2 * model.heads.map_macs + sum(blocks.fill_macs[2:]) + sum(blocks.fill_macs[4:])
    stepped = 2 * sum(blocks.layer_macs[:4]) + 4 * blocks.attention_macs * keys + 2 * blocks.head_macs + aside
    assert implied.steps == pytest.approx(1 - stepped / full)
    assert implied.mean_depth == 3


@pytest.fixture(scope="module")
def timing(model: ExitModel, task: Task) -> Timing:
    return time_rules(
        model, task.prompts(), {"first": StaticCut(1), "never": Never()}, tokens=48, batch_size=2, rounds=3
    )


def test_times_stand_beside_what_was_implied(timing: Timing) -> None:
    assert (timing.prompts, timing.tokens, timing.batch_size) == (4, 48, 2)
    for seconds in (timing.unmodified, timing.generator, *(rule.seconds for rule in timing.rules.values())):
        assert seconds.shape == (3,)
        assert (seconds > 0).all()
    first = timing.rules["first"]
    saved = np.median(1 - first.seconds / timing.unmodified)
    assert first.time_saved.value == pytest.approx(saved)
    assert first.time_saved_of_generator.value == pytest.approx(np.median(1 - first.seconds / timing.generator))
    assert first.over_theory.value == pytest.approx(saved / first.implied.steps)
    assert first.over_theory.n == 3


def test_a_cut_at_the_first_layer_saves_time(timing: Timing) -> None:
    assert timing.rules["first"].time_saved.value > 0.1
    assert timing.rules["first"].implied.rows > 0.5


def test_nothing_is_divided_by_a_saving_of_nothing(timing: Timing) -> None:
    assert timing.rules["never"].implied.steps == 0
    assert np.isnan(timing.rules["never"].over_theory.value)


def test_no_answer_ends_early(model: ExitModel, task: Task) -> None:
    rule = Threshold(GateConfidence(model), 0.5)
    for owner, own in ((unadapted(model), Never()), (model, rule)):
        assert min(len(answer.tokens) for answer in free_run(owner, own, task).answers) < 40
    found = time_rules(model, task.prompts(), {"gate": rule}, tokens=40, batch_size=4, rounds=1)
    _, lengths, depths = run(model, task, rule, 40)
    assert depths.shape == (4, 39)
    assert found.rules["gate"].implied == implied_saving(model, rule, [lengths], [depths])


def test_what_cannot_be_timed_is_refused(model: ExitModel, task: Task) -> None:
    prompts = task.prompts()
    with pytest.raises(DataError, match="no prompts to time"):
        time_rules(model, [], {})
    with pytest.raises(ConfigError, match="need tokens >= 2 and rounds >= 1, got 1 and 5"):
        time_rules(model, prompts, {}, tokens=1)
    with pytest.raises(ConfigError, match="90 tokens after a prompt of 12 do not fit a window of 96 tokens"):
        time_rules(model, [Prompt((1,) * 12, 1)], {}, tokens=90)
