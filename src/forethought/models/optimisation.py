"""Steps of Adam that a kill does not lose: the same trajectory, whether it was run at once or in pieces."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from forethought.artifacts import load_artifact, save_artifact
from forethought.core import content_hash
from forethought.errors import ArtifactError, ConfigError, DataError

KIND = "training"

_MOST_LOST = 20
"""Steps of a run whose loss may be NaN or infinite before it is given up."""

_MEMORY = "memory."
_MOMENTS = ("exp_avg", "exp_avg_sq")
"""What Adam remembers of a parameter, beside its number of steps."""


@dataclass(frozen=True)
class Group:
    """Parameters of one learning rate.

    Attributes:
        parameters: What is trained.
        rate: Peak learning rate.
    """

    parameters: Sequence[nn.Parameter]
    rate: float

    def __post_init__(self) -> None:
        if not 0 < self.rate < float("inf"):
            raise ConfigError(f"a learning rate must be finite and > 0, got {self.rate}")


class Rates(Protocol):
    """How long a run is, how its rates go, and how often it is saved.

    Attributes:
        steps: Of the run.
        every: Steps between checkpoints.
    """

    @property
    def steps(self) -> int:
        """Of the run."""

    @property
    def every(self) -> int:
        """Steps between checkpoints."""

    @property
    def shape(self) -> Sequence[float | str]:
        """What two runs of one course have in common."""

    def factor(self, step: int) -> float:
        """Of the peak rate, at a step counted from 0."""


class Memory(Protocol):
    """What a run carries from step to step beside its parameters."""

    def state(self) -> dict[str, np.ndarray]:
        """Arrays by name."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take up what `state` gave."""


@dataclass(frozen=True)
class ConstantRate:
    """One rate throughout.

    Attributes:
        steps: Of the run.
        every: Steps between checkpoints.
    """

    steps: int
    every: int = 25

    @property
    def shape(self) -> Sequence[float | str]:
        """See `Rates`."""
        return "constant", self.steps

    def factor(self, step: int) -> float:
        """Of the rate: 1."""
        return 1.0


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then half a cosine to nothing.

    Attributes:
        steps: Of the run.
        warmup: Share of them.
        every: Steps between checkpoints.
    """

    steps: int
    warmup: float = 0.1
    every: int = 25

    @property
    def shape(self) -> Sequence[float | str]:
        """See `Rates`."""
        return self.steps, self.warmup

    def factor(self, step: int) -> float:
        """Of the peak rate, at a step counted from 0."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, self.steps - rising)))


@dataclass
class Optimisation:
    """A run of Adam over groups of parameters.

    A step depends on its number alone: whoever computes the loss draws batch and chance from `(seed, step)`.

    Attributes:
        groups: What is trained, and how fast.
        schedule: How long, and how the rate goes.
        folder: Of the checkpoint; None keeps none.
        identity: What a checkpoint belongs to: settings, data, model. Another one's is refused, and so is one that
            began with other weights than the parameters have when this is made.
        clip: Largest norm of the gradient of all groups together.
        memory: What else a checkpoint keeps.
        epsilon: Adam's. A gradient far below it moves a weight in proportion, one far above it by the whole rate.
        history: What each step reported.
        lost: Steps without effect, since their loss was not finite.
    """

    groups: Sequence[Group]
    schedule: Rates
    folder: Path | None
    identity: Mapping[str, Any]
    clip: float = 1.0
    memory: Memory | None = None
    epsilon: float = 1e-8
    history: list[dict[str, float]] = field(default_factory=list)
    lost: int = 0

    def __post_init__(self) -> None:
        self._start = _weights_hash(self.groups)
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        self._adam = torch.optim.Adam(
            [{"params": list(group.parameters), "lr": group.rate} for group in self.groups], eps=self.epsilon
        )

    @property
    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.groups for parameter in group.parameters]

    def run(self, loss: Callable[[int], tuple[torch.Tensor, dict[str, float]]]) -> Iterator[dict[str, float]]:
        """Take every step that is left, yielding what each reported; of a run that had ended, its last step's again.

        Args:
            loss: Step -> loss and figures to remember.

        Raises:
            ArtifactError: The checkpoint is of another run, or damaged, or the folder holds something else.
            DataError: Too many losses were not finite.
        """
        first = self._resume()
        if first == self.schedule.steps:
            yield self.history[-1]
        for step in range(first, self.schedule.steps):
            self._adam.zero_grad(set_to_none=True)
            value, figures = loss(step)
            self._step(step, value)
            self.history.append({"step": step, "loss": float(value.detach()), **figures})
            if self.folder is not None and ((step + 1) % self.schedule.every == 0 or step + 1 == self.schedule.steps):
                self._save(self.folder, step + 1)
            yield self.history[-1]

    def _step(self, step: int, value: torch.Tensor) -> None:
        finite = bool(torch.isfinite(value))
        if finite:
            value.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(self._parameters, self.clip)
            finite = bool(torch.isfinite(norm))
        if not finite:
            self.lost += 1
            if self.lost > _MOST_LOST:
                raise DataError(
                    f"the loss was not finite in {self.lost} steps, the last of them {step}: the run is given up"
                )
            return
        for group, options in zip(self.groups, self._adam.param_groups, strict=True):
            options["lr"] = group.rate * self.schedule.factor(step)
        self._adam.step()

    def _save(self, folder: Path, step: int) -> None:
        tensors = {}
        for place, parameter in enumerate(self._parameters):
            tensors[f"{place}.value"] = parameter.detach().numpy()
            for name, moment in self._adam.state.get(parameter, {}).items():
                tensors[f"{place}.{name}"] = moment.detach().numpy()
        for name, array in ({} if self.memory is None else self.memory.state()).items():
            tensors[f"{_MEMORY}{name}"] = array
        kept = {"kind": KIND, "step": step, "run": self._hash, "lost": self.lost, "history": self.history}
        save_artifact(folder, kept, tensors)

    @torch.no_grad()
    def _resume(self) -> int:
        """Take up a checkpoint, if there is one; the step to go on with."""
        if self.folder is None or not self.folder.is_dir() or not any(self.folder.iterdir()):
            return 0
        kept, arrays, _ = load_artifact(self.folder)
        if kept.get("kind") != KIND:
            raise ArtifactError(f"{self.folder} holds {kept.get('kind')!r}, not a checkpoint: name another folder")
        if kept["run"] != self._hash:
            raise ArtifactError(
                f"the checkpoint {self.folder} is of a run with other settings, other data or other weights to start "
                "from: name another folder or delete it"
            )
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        for place, parameter in enumerate(self._parameters):
            parameter.copy_(tensors[f"{place}.value"].reshape(parameter.shape))  # numpy packs a scalar as (1,)
            if f"{place}.step" in tensors:
                moments = {name: tensors[f"{place}.{name}"].reshape(parameter.shape) for name in _MOMENTS}
                self._adam.state[parameter] = {"step": tensors[f"{place}.step"].reshape(()), **moments}
        if self.memory is not None:
            held = {name.removeprefix(_MEMORY): array for name, array in arrays.items() if name.startswith(_MEMORY)}
            self.memory.restore(held)
        self.history, self.lost = kept["history"], kept["lost"]
        return int(kept["step"])

    @property
    def _hash(self) -> str:
        rates = [group.rate for group in self.groups]
        parts = [self.identity, self._start, rates, *self.schedule.shape, self.clip, self.epsilon]
        return content_hash(json.dumps(parts, sort_keys=True, default=str))[:16]


def _weights_hash(groups: Sequence[Group]) -> str:
    """SHA-256 of the shapes and bits of all parameters, in hex."""
    digest = hashlib.sha256()
    for group in groups:
        digest.update(repr([tuple(parameter.shape) for parameter in group.parameters]).encode())
        for parameter in group.parameters:
            digest.update(parameter.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()
