"""The MATH test table with the encoder's activations beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forethought.activations import ActivationStore, TransformersEncoder, extract
from forethought.cli.console import progress
from forethought.core import Question
from forethought.errors import DataError
from forethought.models import load
from forethought.outcomes import components, greedy, read_math

Array = NDArray[np.float64]

ENCODER = "smollm2-135m-instruct"
LAYERS = (0, 6, 10, 14, 18, 21, 23, 25, 27, 30)
READOUTS = ("mean", "last")
SCORES = "math_test_probe_scores.parquet"


@dataclass(frozen=True)
class Table:
    """What every contender may look at, each part of it by those that say so.

    Attributes:
        questions: n questions; their `group` is the subject, their `difficulty` MATH's level.
        targets: K names.
        success: (n, K), one greedy answer each.
        own: Logits of the targets' own recorded probes, (n, K).
        store: The encoder's activations.
        clusters: Components of equal text, (n,).
    """

    questions: Sequence[Question]
    targets: tuple[str, ...]
    success: Array
    own: Array
    store: ActivationStore
    clusters: NDArray[np.int64]

    @cached_property
    def texts(self) -> list[str]:
        return [question.text for question in self.questions]

    @cached_property
    def level(self) -> Array:
        """One column a level, (n, 5)."""
        return one_hot([str(question.difficulty) for question in self.questions])

    @cached_property
    def subject(self) -> Array:
        """One column a subject, (n, 7)."""
        return one_hot([question.group for question in self.questions])

    def block(self, layer: int, readout: str) -> NDArray[np.float32]:
        """Activations of one layer and readout, (n, d)."""
        return self.store.block((layer,), readout, [question.id for question in self.questions]).values


def read_table(folder: Path, cache: Path, limit: int | None = None) -> Table:
    """Read the recorded table and extract what is not yet in the cache."""
    imported = read_math(folder)
    questions = imported.questions[:limit]
    ids = [question.id for question in questions]
    targets = tuple(imported.outcomes.targets)
    return Table(
        questions=questions,
        targets=targets,
        success=greedy(imported.outcomes, ids, targets).success,
        own=read_own(folder / SCORES, targets)[: len(questions)],
        store=extracted(questions, cache / "activations"),
        clusters=components(questions),
    )


def extracted(questions: Sequence[Question], store: Path) -> ActivationStore:
    """The encoder's activations, in bfloat16 and stored in half precision; a killed run resumes."""
    encoder = TransformersEncoder(load(ENCODER, dtype="bfloat16"))
    with progress("extract") as report:
        return extract(
            encoder,
            questions,
            store,
            layers=LAYERS,
            readouts=READOUTS,
            shard_size=125,
            dtype="float16",
            report=report,
        )


def read_own(path: Path, targets: Sequence[str]) -> Array:
    """Logits of the recorded probe scores, in the order of the questions.

    Raises:
        DataError: A target without exactly one score of single answers.
    """
    frame = pl.read_parquet(path).sort("idx")
    columns = []
    for target in targets:
        found = [name for name in frame.columns if name.startswith((f"{target}|greedy", f"{target}|one"))]
        if len(found) != 1:
            raise DataError(f"{path} must have one score of single answers of {target!r}, got {found}")
        p = np.clip(frame[found[0]].to_numpy().astype(np.float64), 1e-4, 1 - 1e-4)
        columns.append(np.log(p / (1 - p)))
    return np.column_stack(columns)


def one_hot(values: Sequence[str]) -> Array:
    names, index = np.unique(values, return_inverse=True)
    return np.eye(len(names))[index]
