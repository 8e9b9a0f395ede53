"""The encoder protocol and the features it yields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forethought.core import FeatureSpec, Question
from forethought.errors import FeatureError

Float32Array: TypeAlias = NDArray[np.float32]


class Encoder(Protocol):
    """Reads questions in one prefill and never generates.

    The one engine of both training and serving: what a probe was fitted on and what it is given
    later come out of the same `encode`.
    """

    @property
    def name(self) -> str:
        """Name of the model read."""

    @property
    def n_layers(self) -> int:
        """Number of blocks; layers run from 0 (embeddings) to `n_layers`."""

    @property
    def width(self) -> int:
        """Size of the residual stream."""

    @property
    def window(self) -> int:
        """Longest prompt read whole, tokens."""

    @property
    def system(self) -> str | None:
        """System turn put before each chat, if any."""

    @property
    def readouts(self) -> tuple[str, ...]:
        """Every readout offered: `last`, `mean`, `eoi[-1]`, `eoi[-2]`, ..."""

    def spec(self, layers: tuple[int, ...], readout: str) -> FeatureSpec:
        """What the vector of these layers, concatenated in this order, at this readout means."""

    def encode(self, questions: Sequence[Question], *, layers: Sequence[int], readouts: Sequence[str]) -> Float32Array:
        """Raw residual stream of each question, (n, len(layers), len(readouts), width)."""

    def lengths(self, questions: Sequence[Question]) -> NDArray[np.int64]:
        """Tokens of each prompt as it is read, (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Feature vectors and what they mean.

    Attributes:
        spec: Encoder, layers and readout they come from.
        question_ids: One id a row.
        values: (n, d), float32, finite.
    """

    spec: FeatureSpec
    question_ids: tuple[str, ...]
    values: Float32Array

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or len(self.values) != len(self.question_ids):
            raise FeatureError(
                f"features must be (n, d) with one row a question id, got {self.values.shape} "
                f"for {len(self.question_ids)} ids"
            )
        bad = np.flatnonzero(~np.isfinite(self.values).all(axis=1))
        if bad.size:
            raise FeatureError(
                f"features of question {self.question_ids[bad[0]]!r} hold NaN or infinity "
                f"({bad.size} of {len(self.values)} rows do); only finite values are allowed"
            )

    def require(self, spec: FeatureSpec) -> Float32Array:
        """Return the values if they mean what `spec` says.

        Raises:
            FeatureError: Another encoder, weights, template, layer, readout or dtype.
        """
        found, wanted = asdict(self.spec), asdict(spec)
        differing = [f"{key} is {found[key]!r}, not {wanted[key]!r}" for key in wanted if found[key] != wanted[key]]
        if differing:
            raise FeatureError("features mean something else than asked: " + "; ".join(differing))
        return self.values
