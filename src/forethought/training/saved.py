"""A policy that decides about votes, on disk: weights or adapters, the format of its traces, how they are sampled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from forethought.artifacts import atomic_directory
from forethought.core import DecodingPolicy
from forethought.errors import ArtifactError
from forethought.models import LanguageModel, load
from forethought.training.base import Learner
from forethought.training.learners import FullWeights, LowRank
from forethought.training.trace_format import Decide, TraceFormat
from forethought.training.trace_writer import TraceWriter
from forethought.voting import SequentialVote

KIND = "budget-policy"
FILE = "budget.json"
Trained = Literal["all", "adapters"]


@dataclass(frozen=True)
class SavedPolicy:
    """What a folder holds.

    Attributes:
        model: Where the weights come from that adapters belong to; of a policy of its own weights, what it began as.
        trained: `all` weights, or `adapters`.
        decide: Where in a trace the choice is made.
        restate: Whether every trial begins with the question.
        policy: How trials are sampled.
        rule: When a vote ends.
        questions: Which questions it was made from, as `Parts.describe` says it.
        made: Settings and last figures of each stage, in order.
    """

    model: str
    trained: Trained
    decide: Decide
    restate: bool
    policy: DecodingPolicy
    rule: SequentialVote = field(default_factory=SequentialVote)
    questions: Mapping[str, Any] = field(default_factory=dict)
    made: Sequence[Mapping[str, Any]] = ()

    def save(self, folder: Path, learner: Learner) -> None:
        """Write weights and description, whole or not at all."""
        with atomic_directory(folder) as new:
            learner.save(new / self.trained)
            (new / FILE).write_text(json.dumps({"kind": KIND, **asdict(self)}, indent=2))

    @classmethod
    def read(cls, folder: Path) -> SavedPolicy:
        """The description in a folder.

        Raises:
            ArtifactError: None, a damaged one, or something else.
        """
        try:
            kept = json.loads((folder / FILE).read_text())
        except FileNotFoundError:
            raise ArtifactError(f"{folder} holds no budget policy: it has no {FILE}") from None
        except ValueError as error:
            raise ArtifactError(f"{folder / FILE} is not JSON: {error}") from error
        if not isinstance(kept, dict) or kept.pop("kind", None) != KIND:
            raise ArtifactError(f"{folder / FILE} does not describe a budget policy")
        try:
            policy, rule = DecodingPolicy(**kept.pop("policy")), SequentialVote(**kept.pop("rule"))
            return cls(policy=policy, rule=rule, **kept)
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{folder / FILE} does not describe a budget policy: {error}") from error

    def learner(self, folder: Path) -> Learner:
        """The policy, to be moved on or to be written with.

        Raises:
            ArtifactError: Damaged weights, or adapters of other ones.
        """
        if self.trained == "all":
            return FullWeights(load(folder / self.trained))
        return LowRank.load(folder / self.trained, load(self.model))

    def form(self, model: LanguageModel) -> TraceFormat:
        """Its traces in a model's vocabulary."""
        return TraceFormat.of(model, self.decide, restate=self.restate)

    def writer(self, model: LanguageModel, *, seed: int = 0) -> TraceWriter:
        """What writes its traces."""
        return TraceWriter(model, self.form(model), self.policy, rule=self.rule, seed=seed)
