"""What is known of a question before anything is written: activations of one prefill, scaled for a regression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forethought.activations import Encoder
from forethought.core import Question
from forethought.errors import DataError
from forethought.metrics import FloatArray


class PrefillFeatures:
    """Activations at the last token of the prompt, standardised on training questions, of mean square norm 1.

    They are of the encoder as it was: those of a policy that moves would mean something else after every step.

    Args:
        encoder: Reads the questions; usually the reference.
        questions: Training questions, whose features are kept.
        layer: Whose output is read, by default the middle one's.
        readout: See `FeatureSpec`.

    Raises:
        DataError: No question.
    """

    def __init__(
        self, encoder: Encoder, questions: Sequence[Question], *, layer: int | None = None, readout: str = "last"
    ) -> None:
        if not questions:
            raise DataError("features are scaled on training questions: there is none")
        self.encoder = encoder
        self.layer = (encoder.n_layers + 1) // 2 if layer is None else layer
        self.readout = readout
        read = self._read(questions)
        self._mean = read.mean(axis=0)
        self._scale = np.maximum(read.std(axis=0), 1e-6) * np.sqrt(read.shape[1])
        self._kept = {question.id: row for question, row in zip(questions, self._scaled(read), strict=True)}

    @property
    def width(self) -> int:
        """Features of a question."""
        return len(self._mean)

    def __call__(self, questions: Sequence[Question]) -> FloatArray:
        """Features, shape (questions, width)."""
        missing = [question for question in questions if question.id not in self._kept]
        if missing:
            rows = self._scaled(self._read(missing))
            self._kept |= {question.id: row for question, row in zip(missing, rows, strict=True)}
        return np.stack([self._kept[question.id] for question in questions])

    def _read(self, questions: Sequence[Question]) -> FloatArray:
        read = self.encoder.encode(questions, layers=(self.layer,), readouts=(self.readout,))
        return np.asarray(read[:, 0, 0], dtype=np.float64)

    def _scaled(self, read: FloatArray) -> FloatArray:
        return np.asarray((read - self._mean) / self._scale)
