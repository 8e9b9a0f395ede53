"""Imitation of given traces: where the format, and a first habit of voting, come from (arXiv 2501.17974)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from forethought.core import content_hash
from forethought.errors import ConfigError, DataError
from forethought.models import Group, Optimisation, Schedule
from forethought.training.base import Learnable, Learner
from forethought.training.likelihood import chosen_logprobs


@dataclass(frozen=True)
class SupervisedConfig:
    """Settings of imitation.

    Attributes:
        steps: Of Adam.
        batch: Traces a step.
        rate: Peak learning rate.
        warmup: Share of the steps in which it rises; then it falls by half a cosine.
        seed: Of the batches.
    """

    steps: int = 400
    batch: int = 32
    rate: float = 1e-3
    warmup: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ConfigError(f"steps and batch must be >= 1, got {self.steps} and {self.batch}")
        if not 0 <= self.warmup <= 1:
            raise ConfigError(f"warmup is a share of the steps in [0, 1], got {self.warmup}")


def imitate(
    learner: Learner, traces: Sequence[Learnable], config: SupervisedConfig, *, checkpoint: Path | None = None
) -> Iterator[dict[str, float]]:
    """Raise the likelihood of what the traces' policy chose.

    Args:
        learner: Moved in place.
        traces: At least one; as `traces_to_imitate` makes them.
        config: Settings.
        checkpoint: Folder to save progress in and to go on from.

    Yields:
        `step` and `loss`, nats a chosen token.

    Raises:
        DataError: No trace, one without a choice, or too many losses that are not finite.
        ArtifactError: A checkpoint that is damaged or of another run.
    """
    check_learnable(traces)

    def loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        drawn = torch.randint(len(traces), (config.batch,), generator=generator).tolist()
        batch = [traces[i] for i in drawn]
        return -chosen_logprobs(learner.model, batch).sum() / sum(sum(trace.chosen) for trace in batch), {}

    identity = {"stage": "imitate", **asdict(config), "traces": hash_of(traces), "model": learner.model.weights}
    groups = [Group(learner.parameters, config.rate)]
    yield from Optimisation(groups, Schedule(config.steps, config.warmup, every=10), checkpoint, identity).run(loss)


def check_learnable(traces: Sequence[Learnable]) -> None:
    """Refuse traces that nothing can be learnt from.

    Raises:
        DataError: None, or one that is malformed: nothing chosen, or not one mark a token.
    """
    if not traces:
        raise DataError("there is no trace to imitate")
    for place, trace in enumerate(traces):
        if len(trace.tokens) != len(trace.chosen) or not any(trace.chosen):
            raise DataError(
                f"trace {place} is malformed: {len(trace.tokens)} tokens with {len(trace.chosen)} marks, "
                f"{sum(trace.chosen)} of them chosen; at least one must be"
            )


def hash_of(traces: Sequence[Learnable]) -> str:
    """What a checkpoint knows traces by."""
    return content_hash(repr([(trace.prompt.ids, trace.tokens, trace.chosen) for trace in traces]))[:16]
