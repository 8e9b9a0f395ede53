from __future__ import annotations

import numpy as np

from forethought.core import Question
from forethought.targets.generation import Prompt
from forethought.training import Rollouts, WrittenTrace


def test_rollouts_are_tables_of_questions_and_samples() -> None:
    questions = [Question.ask("a"), Question.ask("b")]
    traces = [
        WrittenTrace(
            questions[i // 3], Prompt((1,), 1), [0] * (5 + i), [True] * (5 + i), ["x"] * (1 + i), voted=i % 2 == 1,
            success=(0.0, 0.5, 1.0)[i % 3],
        )
        for i in range(6)
    ]  # fmt: skip
    features = np.arange(4.0).reshape(2, 2)
    rollouts = Rollouts.of(traces, 3, np.arange(6.0), features)
    assert list(rollouts.questions) == questions
    assert rollouts.success.tolist() == [[0, 0.5, 1], [0, 0.5, 1]]
    assert rollouts.right.tolist() == [[False, False, True]] * 2
    assert rollouts.voted.tolist() == [[False, True, False], [True, False, True]]
    assert rollouts.voted.dtype == np.bool_
    assert rollouts.trials.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert rollouts.tokens.tolist() == [[5, 6, 7], [8, 9, 10]]
    assert rollouts.log_ratio.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert rollouts.features is features
