"""One loop for every method: write, grade, weigh, and take one step of weighted imitation (2501.17974, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from forethought.core import DecodingPolicy, Question, content_hash
from forethought.errors import ConfigError, DataError
from forethought.metrics import FloatArray
from forethought.models import ConstantRate, Group, Optimisation
from forethought.training.base import Learner, Rollouts, Selection, Weighed
from forethought.training.likelihood import chosen_logprobs
from forethought.training.trace_format import TraceFormat
from forethought.training.trace_writer import TraceWriter, WrittenTrace
from forethought.voting import SequentialVote

Features: TypeAlias = Callable[[Sequence[Question]], FloatArray]
"""What is known of questions before anything is written, (n, d); for instance a prefill's activations."""


@dataclass(frozen=True)
class PolicyConfig:
    """Settings of the loop.

    Attributes:
        steps: Updates.
        prompts: n, questions a batch.
        samples: m, traces a question.
        accumulate_prompts: k_b, batches of questions that one programme decides on.
        accumulate_samples: k_r, times m traces of each.
        rate: Learning rate, constant.
        epsilon: Adam's. Most of an on-policy gradient is noise about what the policy says anyway; with the usual 1e-8
            that noise moves every weight by the whole rate, and the choice, where the signal is, no faster.
        clip: Largest norm of the gradient.
        every: Steps between checkpoints.
        seed: Of questions, traces and ties.
    """

    steps: int = 100
    prompts: int = 64
    samples: int = 8
    accumulate_prompts: int = 1
    accumulate_samples: int = 1
    rate: float = 5e-4
    epsilon: float = 1e-2
    clip: float = 1.0
    every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.steps, self.prompts, self.samples, self.accumulate_prompts, self.accumulate_samples, self.every)
        if min(counts) < 1:
            raise ConfigError(f"steps, prompts, samples, accumulations and every must be >= 1, got {counts}")


@dataclass(frozen=True)
class Practice:
    """What a policy practises on.

    Attributes:
        questions: Training questions, at least one.
        form: Of the traces.
        policy: How they are sampled.
        rule: When a vote ends.
        features: Of questions; None where no selection reads any.
    """

    questions: Sequence[Question]
    form: TraceFormat
    policy: DecodingPolicy
    rule: SequentialVote = field(default_factory=SequentialVote)
    features: Features | None = None

    def __post_init__(self) -> None:
        if not self.questions:
            raise DataError("practice needs at least one question")


def optimise(
    learner: Learner,
    practice: Practice,
    selection: Selection,
    config: PolicyConfig,
    *,
    checkpoint: Path | None = None,
) -> Iterator[dict[str, float]]:
    """Practise, update by update.

    Each update writes m traces of n questions with the policy as it is, lets the selection weigh them, and takes one
    step on - sum of w log pi(y | x) / sum of |w|, the projection of the chosen policy onto the model (upper level of
    2501.17974, eq. 5). A batch without a weight changes nothing, and says so by `weighed` 0.

    Args:
        learner: Moved in place.
        practice: What it practises on.
        selection: What it learns from.
        config: Settings.
        checkpoint: Folder to save progress in and to go on from.

    Yields:
        Figures of each update: `step`, `loss`, `accuracy`, `share` of voting traces, `trials`, `tokens`, `log_ratio`
            (mean nats to the reference, of right traces), `weighed` (traces with a weight), `unsolved` (questions
            without a right trace), and the selection's own.

    Raises:
        DataError: Too many losses were not finite.
        ArtifactError: A checkpoint that is damaged or of another run.
    """
    stage = _Stage(learner, practice, selection, config)
    asked = content_hash(repr([(q.id, q.answers, q.grader) for q in practice.questions]))[:16]
    identity = {
        "stage": "optimise",
        **asdict(config),
        "selection": dict(selection.settings),
        "practice": [
            asked,
            asdict(practice.policy),
            practice.form.decide,
            practice.form.restate,
            asdict(practice.rule),
        ],
        "model": learner.model.weights,
    }
    groups = [Group(learner.parameters, config.rate)]
    rates = ConstantRate(config.steps, config.every)
    run = Optimisation(groups, rates, checkpoint, identity, config.clip, selection, config.epsilon)
    yield from run.run(stage.loss)


class _Stage:
    """One update's loss."""

    def __init__(self, learner: Learner, practice: Practice, selection: Selection, config: PolicyConfig) -> None:
        self.learner = learner
        self.practice = practice
        self.selection = selection
        self.config = config
        self.n = min(config.prompts * config.accumulate_prompts, len(practice.questions))
        self.m = config.samples * config.accumulate_samples

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss and figures."""
        traces, rollouts = self._roll(step)
        weighed = self.selection.weigh(rollouts, seed=self.config.seed * 1_000_003 + step)
        return self._weighted(traces, weighed.weights), _figures(rollouts, weighed)

    def _roll(self, step: int) -> tuple[list[WrittenTrace], Rollouts]:
        practice, count = self.practice, self.config.seed * 1_000_003 + step
        generator = torch.Generator().manual_seed(count)
        drawn = torch.randperm(len(practice.questions), generator=generator)[: self.n].tolist()
        questions = [practice.questions[i] for i in drawn]
        writer = TraceWriter(
            self.learner.model, practice.form, practice.policy, rule=practice.rule, seed=self.config.seed
        )
        asked = [question for question in questions for _ in range(self.m)]
        traces = writer.write(asked, [step * self.m + i % self.m for i in range(len(asked))])
        features = np.zeros((self.n, 0)) if practice.features is None else practice.features(questions)
        return traces, Rollouts.of(traces, self.m, self._log_ratio(traces), features)

    @torch.no_grad()
    def _log_ratio(self, traces: Sequence[WrittenTrace]) -> FloatArray:
        """To the reference, nats, of right traces; 0 of the others, which no method accepts, (traces,)."""
        right = [i for i, trace in enumerate(traces) if trace.success == 1.0]
        ratio = np.zeros(len(traces))
        with self.learner.as_reference():
            before = chosen_logprobs(self.learner.model, [traces[i] for i in right])
        ratio[right] = [traces[i].logprob for i in right] - before.double().numpy()
        return ratio

    def _weighted(self, traces: Sequence[WrittenTrace], weights: FloatArray) -> torch.Tensor:
        """- sum of w log pi / sum of |w|."""
        flat = weights.reshape(-1)
        used = np.flatnonzero(flat).tolist()
        if not used:
            return torch.zeros((), requires_grad=True)
        share = torch.tensor(flat[used] / np.abs(flat).sum(), dtype=torch.float32)
        return -(share * chosen_logprobs(self.learner.model, [traces[i] for i in used])).sum()


def _figures(rollouts: Rollouts, weighed: Weighed) -> dict[str, float]:
    right = rollouts.right
    return {
        "accuracy": float(rollouts.success.mean()),
        "share": float(rollouts.voted.mean()),
        "trials": float(rollouts.trials.mean()),
        "tokens": float(rollouts.tokens.mean()),
        "log_ratio": float(rollouts.log_ratio[right].mean()) if right.any() else 0.0,
        "weighed": float(np.count_nonzero(weighed.weights)),
        "unsolved": float((~right.any(axis=1)).sum()),
        **weighed.figures,
    }
