from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forethought.core import DecodingPolicy
from forethought.early_exit.free_running import free_run, unadapted
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.oracle import first_agreeing, headroom_share, static_depth
from forethought.early_exit.rules import Never
from forethought.early_exit.task import Task
from forethought.early_exit.teacher_forcing import ExitReadouts, teacher_force
from forethought.errors import ConfigError
from forethought.models import load
from forethought.questions import arithmetic_questions

torch.set_num_threads(1)


def readouts(exits: list[list[int]], student: list[int], teacher: list[int] | None = None) -> ExitReadouts:
    passes = len(student)
    return ExitReadouts((2, 4), 6, np.arange(passes), np.array(teacher or student), np.array(student), np.array(exits))


def test_first_agreeing_layer_by_hand() -> None:
    #                 layer 2 agrees, layer 4 only, none, 2 agrees and 4 no longer does
    found = first_agreeing(readouts([[7, 0, 0, 7], [7, 7, 0, 0]], [7, 7, 7, 7]))
    assert found.depths.tolist() == [2, 4, 6, 2]
    assert found.mean_depth == pytest.approx(14 / 4)
    assert found.headroom == pytest.approx(1 - 14 / 24)


def test_the_reference_is_chosen() -> None:
    read = readouts([[1, 2], [3, 4]], student=[3, 2], teacher=[1, 4])
    assert first_agreeing(read, "student").depths.tolist() == [4, 2]
    assert first_agreeing(read, "teacher").depths.tolist() == first_agreeing(read).depths.tolist() == [2, 4]
    with pytest.raises(ConfigError, match="reference must be 'student' or 'teacher', got 'both'"):
        first_agreeing(read, "both")  # type: ignore[arg-type]


@given(arrays(np.int64, (2, 9), elements=st.integers(0, 2)), arrays(np.int64, (9,), elements=st.integers(0, 2)))
def test_no_exit_below_the_first_agreeing_one_agrees(exits: np.ndarray, full: np.ndarray) -> None:
    found = first_agreeing(ExitReadouts((2, 4), 6, np.arange(9), full, full, exits))
    for i, depth in enumerate(found.depths):
        said = {2: exits[0, i], 4: exits[1, i], 6: full[i]}
        assert said[depth] == full[i]
        assert all(said[layer] != full[i] for layer in said if layer < depth)


def test_along_real_answers_it_is_what_a_plain_forward_pass_says() -> None:
    model = unadapted(ExitModel(load("arithmetic-small"), ExitConfig((1, 3, 5))))
    task = Task(model.base, DecodingPolicy(max_tokens=24), arithmetic_questions("test", 5, seed=3))
    run = free_run(model, Never(), task, batch_size=2)
    found = first_agreeing(teacher_force(model, {}, run.traces, [b""] * 5).readouts)
    prompts = run.prompts
    for i, prompt in enumerate(prompts):
        with torch.no_grad():
            answer = model.base.model.generate(
                torch.tensor([prompt.ids]), max_new_tokens=24, do_sample=False, pad_token_id=0
            )
            hidden = model.base.model(answer, output_hidden_states=True)
        passes = slice(len(prompt.ids), answer.shape[1] - 1)
        full = hidden.logits[0, passes].argmax(dim=-1)
        depths = torch.full_like(full, 6)
        for layer in (5, 3, 1):
            said = model.teacher.logits(hidden.hidden_states[layer][0, passes]).argmax(dim=-1)
            depths[said == full] = layer
        assert found.depths[found.question == i].tolist() == depths.tolist()
    assert 1 <= found.mean_depth <= 6


def test_static_depth_is_on_the_hull_of_mixtures() -> None:
    depths, accuracies = [2.0, 3.0, 4.0, 6.0], [0.2, 0.3, 0.8, 1.0]
    # 3 layers lie below the mixture of 2 and 4; .5 is half-way between these two.
    assert static_depth(depths, accuracies, 0.5) == pytest.approx(3.0)
    assert static_depth(depths, accuracies, 0.9) == pytest.approx(5.0)
    assert static_depth(depths, accuracies, 1.0) == pytest.approx(6.0)
    assert math.isnan(static_depth(depths, accuracies, 1.01))


def test_headroom_share_by_hand() -> None:
    assert headroom_share(5.0, 3.0, 1.0) == pytest.approx(0.5)
    assert headroom_share(5.0, 5.0, 1.0) == 0
    assert headroom_share(5.0, 6.0, 1.0) < 0
    assert math.isnan(headroom_share(1.0, 1.0, 1.0))
