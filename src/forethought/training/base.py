"""What training to spend is made of: rollouts, a selection that weighs them, a learner that is moved by the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from forethought.core import Question
from forethought.metrics import BoolArray, FloatArray
from forethought.models import LanguageModel
from forethought.targets.generation import Prompt
from forethought.training.trace_writer import WrittenTrace

State = dict[str, np.ndarray]
"""Arrays by name: what a checkpoint keeps of a selection."""


class Learnable(Protocol):
    """A text that a policy may be moved towards."""

    @property
    def prompt(self) -> Prompt:
        """What was read."""

    @property
    def tokens(self) -> list[int]:
        """What follows."""

    @property
    def chosen(self) -> list[bool]:
        """Which of the tokens the policy chose: these alone have a likelihood to raise."""


class Learner(Protocol):
    """A policy that can be moved.

    Attributes:
        model: What writes, as it is now.
    """

    model: LanguageModel

    @property
    def parameters(self) -> Sequence[torch.nn.Parameter]:
        """What is trained."""

    def as_reference(self) -> AbstractContextManager[None]:
        """Within it, `model` is what it was when the learner was made."""

    def save(self, folder: Path) -> None:
        """Write what was learnt, whole or not at all."""


@dataclass(frozen=True, eq=False)
class Rollouts:
    """n questions with m traces each.

    Attributes:
        questions: n.
        success: Of each trace, in [0, 1], shape (n, m).
        voted: Which vote, shape (n, m).
        trials: Trials written, shape (n, m).
        tokens: Tokens written, tags included, shape (n, m).
        log_ratio: log pi(y | x) - log pi_ref(y | x) of the chosen tokens, nats, shape (n, m).
        features: Of each question, shape (n, d); d may be 0.
    """

    questions: Sequence[Question]
    success: FloatArray
    voted: BoolArray
    trials: FloatArray
    tokens: FloatArray
    log_ratio: FloatArray
    features: FloatArray

    @classmethod
    def of(cls, traces: Sequence[WrittenTrace], m: int, log_ratio: FloatArray, features: FloatArray) -> Rollouts:
        """From traces in order of questions, m in a row of each.

        Args:
            traces: n x m.
            m: Traces a question.
            log_ratio: Of each trace, shape (n m,).
            features: Of each question, shape (n, d).
        """

        def table(values: Sequence[float]) -> FloatArray:
            return np.asarray(values, dtype=np.float64).reshape(-1, m)

        return cls(
            [trace.question for trace in traces[::m]],
            table([trace.success for trace in traces]),
            table([trace.voted for trace in traces]).astype(np.bool_),
            table([len(trace.trials) for trace in traces]),
            table([len(trace.tokens) for trace in traces]),
            log_ratio.reshape(-1, m),
            features,
        )

    @property
    def right(self) -> BoolArray:
        """Traces whose answer is fully right, shape (n, m)."""
        return np.asarray(self.success == 1.0)


@dataclass(frozen=True, eq=False)
class Weighed:
    """What a selection makes of rollouts.

    Attributes:
        weights: Of each trace's log-likelihood, shape (n, m); 0 where it teaches nothing, negative to unlearn.
        figures: To remember.
    """

    weights: FloatArray
    figures: Mapping[str, float]


class Selection(Protocol):
    """Which rollouts to learn from, and how much: the whole difference between the methods of the paper's table 1."""

    @property
    def name(self) -> str:
        """Name of the method."""

    @property
    def settings(self) -> Mapping[str, float | str]:
        """What a checkpoint belongs to."""

    def weigh(self, rollouts: Rollouts, *, seed: int) -> Weighed:
        """Weigh a batch.

        Args:
            rollouts: On-policy.
            seed: Draws among equals.
        """

    def state(self) -> State:
        """What was learnt from earlier batches."""

    def restore(self, state: State) -> None:
        """Take up what `state` gave."""
