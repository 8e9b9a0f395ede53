"""From questions to the blocks of numbers that a head was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forethought.core import FeatureSpec, Question
from forethought.errors import FeatureError

if TYPE_CHECKING:
    from forethought.activations import ActivationStore, Encoder
    from forethought.probes import TfidfFeatures

Block = Any
"""(n, d) array, dense float32 or a SciPy CSR matrix for text."""


@dataclass(frozen=True)
class FeatureBlocks:
    """Which blocks a head reads, in order: one per spec, then text if there is one.

    Attributes:
        specs: One activation block each; all of one encoder may share one prefill.
        text: Fitted TF-IDF map, or None for a head that reads activations alone.
    """

    specs: tuple[FeatureSpec, ...]
    text: TfidfFeatures | None = None

    def encode(self, encoder: Encoder, questions: Sequence[Question]) -> list[Block]:
        """Read every block with one truncated prefill a question.

        Raises:
            FeatureError: The encoder is not the one that the head was fitted on.
        """
        for spec in self.specs:
            check_spec(encoder.spec(spec.layers, spec.readout), spec)
        layers = tuple(sorted({layer for spec in self.specs for layer in spec.layers}))
        readouts = tuple(dict.fromkeys(spec.readout for spec in self.specs))
        states = encoder.encode(questions, layers=layers, readouts=readouts)
        blocks: list[Block] = [
            states[:, [layers.index(layer) for layer in spec.layers], readouts.index(spec.readout)].reshape(
                len(questions), -1
            )
            for spec in self.specs
        ]
        return self._with_text(blocks, questions)

    def read(self, stores: Sequence[ActivationStore], questions: Sequence[Question]) -> list[Block]:
        """Read every block from extracted activations instead of running the encoder.

        Raises:
            FeatureError: No store holds a block's spec, or a question is missing.
        """
        ids = tuple(question.id for question in questions)
        return self._with_text([_find(stores, spec, ids) for spec in self.specs], questions)

    def _with_text(self, blocks: list[Block], questions: Sequence[Question]) -> list[Block]:
        if self.text is None:
            return blocks
        return [*blocks, self.text.transform([question.text for question in questions])]


def check_spec(found: FeatureSpec, wanted: FeatureSpec) -> None:
    """Refuse activations that do not mean what a probe was fitted on.

    Raises:
        FeatureError: Names the first field that differs.
    """
    for field in FeatureSpec.__dataclass_fields__:
        if (a := getattr(found, field)) != (b := getattr(wanted, field)):
            raise FeatureError(f"activations have {field} {a!r}, the probe was fitted on {b!r}")


def _find(stores: Sequence[ActivationStore], spec: FeatureSpec, ids: tuple[str, ...]) -> np.ndarray:
    for store in stores:
        if set(spec.layers) <= set(store.layers) and spec.readout in store.readouts:
            features = store.block(spec.layers, spec.readout, ids)
            if features.spec == spec:
                return features.values
    raise FeatureError(f"no activation store holds {spec.encoder} layers {spec.layers} readout {spec.readout!r}")
