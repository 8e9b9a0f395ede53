from __future__ import annotations

import numpy as np
import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.base import ExitRule
from forethought.early_exit.confidences import GateConfidence, SoftmaxGap, StateSaturation
from forethought.early_exit.free_running import free_run, unadapted
from forethought.early_exit.model import ExitModel
from forethought.early_exit.rules import DecayingThreshold, MonotoneSchedule, Never, Sampled, StaticCut, Threshold
from forethought.early_exit.task import Task
from forethought.early_exit.teacher_forcing import teacher_force
from forethought.early_exit.traces import Trace
from forethought.errors import DataError
from forethought.questions import arithmetic_questions

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(arithmetic_exits: ExitModel) -> ExitModel:
    return arithmetic_exits


@pytest.fixture(scope="module")
def task(model: ExitModel) -> Task:
    return Task(model.base, DecodingPolicy(max_tokens=24), arithmetic_questions("test", 12, seed=0))


@pytest.fixture(scope="module")
def rules(model: ExitModel) -> dict[str, ExitRule]:
    gate = GateConfidence(model)
    return {
        "never": Never(),
        "static": StaticCut(2),
        "gate": Threshold(gate, 0.5),
        "gap": Threshold(SoftmaxGap(model), 0.6),
        "saturation": Threshold(StateSaturation(model), 0.9),
        "decaying": DecayingThreshold(gate, 0.5, 4.0, 24),
        "sampled": Sampled(gate),
        "schedule": MonotoneSchedule(5, 2, 12),
    }


@pytest.fixture(scope="module")
def keys(task: Task) -> list[bytes]:
    return [task.key(i, 0) for i in range(12)]


def test_a_rule_along_its_own_answers_leaves_where_it_left(
    model: ExitModel, task: Task, rules: dict[str, ExitRule], keys: list[bytes]
) -> None:
    for name, rule in rules.items():
        run = free_run(model, rule, task, batch_size=5)
        forced = teacher_force(model, {"own": rule}, run.traces, keys).rules["own"]
        for i, answer in enumerate(run.answers):
            assert forced.depths[forced.question == i].tolist() == answer.depths[1:], name
    assert {len(set(answer.depths)) for answer in run.answers} != {1}


def test_the_unmodified_model_agrees_with_itself(model: ExitModel, task: Task, keys: list[bytes]) -> None:
    plain = unadapted(model)
    run = free_run(plain, Never(), task)
    found = teacher_force(plain, {"never": Never()}, run.traces, keys)
    written = [token for i in order(found.rules["never"].question) for token in run.answers[i].tokens[1:]]
    assert found.readouts.teacher.tolist() == found.readouts.student.tolist() == written
    assert found.rules["never"].agrees.all()
    assert found.rules["never"].divergence.max() == pytest.approx(0, abs=1e-6)


def order(question: np.ndarray) -> list[int]:
    """Questions in the order that their passes are read in."""
    return list(dict.fromkeys(question.tolist()))


def test_exits_and_divergence_are_those_of_a_plain_forward_pass(
    model: ExitModel, task: Task, keys: list[bytes]
) -> None:
    plain = unadapted(model)
    run = free_run(plain, Never(), task)
    # Cut at a layer, every token has run all layers below it: its state is that of a pass without exits.
    cuts = {str(layer): StaticCut(layer) for layer in model.config.layers}
    found = teacher_force(plain, cuts, run.traces[:3], keys)
    for i in range(3):
        ids = torch.tensor([[*run.prompts[i].ids, *run.answers[i].tokens]])
        passes = slice(len(run.prompts[i].ids), ids.shape[1] - 1)
        own = found.readouts.question == i
        with torch.no_grad():
            output = plain.base.model(ids, output_hidden_states=True)
            full = torch.log_softmax(output.logits[0, passes], dim=-1)
            for exit, layer in enumerate(model.config.layers):
                state = model.heads.mapped(exit, output.hidden_states[layer][0, passes])
                chosen = torch.log_softmax(plain.teacher.logits(state), dim=-1)
                forced = found.rules[str(layer)]
                assert found.readouts.exits[exit, own].tolist() == chosen.argmax(dim=-1).tolist()
                agrees = (chosen.argmax(dim=-1) == full.argmax(dim=-1)).long()
                assert forced.agrees[own].tolist() == agrees.tolist()
                divergence = (full.exp() * (full - chosen)).sum(dim=-1)
                np.testing.assert_allclose(forced.divergence[own], divergence.numpy(), rtol=1e-3, atol=1e-5)


def test_batches_and_their_padding_change_nothing(
    model: ExitModel, task: Task, rules: dict[str, ExitRule], keys: list[bytes]
) -> None:
    traces = free_run(unadapted(model), Never(), task).traces
    together = teacher_force(model, rules, traces, keys)
    for i, trace in enumerate(traces):
        alone = teacher_force(model, rules, [trace], [keys[i]])
        own = together.readouts.question == i
        assert together.readouts.exits[:, own].tolist() == alone.readouts.exits.tolist()
        for name, forced in together.rules.items():
            assert forced.depths[own].tolist() == alone.rules[name].depths.tolist(), name
            np.testing.assert_allclose(forced.divergence[own], alone.rules[name].divergence, rtol=1e-3, atol=1e-5)


def test_answers_of_one_token_have_no_pass(model: ExitModel, task: Task, keys: list[bytes]) -> None:
    traces = free_run(unadapted(model), Never(), task).traces
    short = [Trace(trace.question, trace.prompt, trace.tokens[: 1 + trace.question % 2]) for trace in traces]
    read = teacher_force(model, {}, short, keys).readouts
    assert sorted(read.question.tolist()) == [1, 3, 5, 7, 9, 11]
    with pytest.raises(DataError, match="none of 1 answers has two tokens"):
        teacher_force(model, {}, short[:1], keys)
