from __future__ import annotations

import numpy as np

from forethought import FeatureSpec


class LetterEncoder:
    """Counts letters: one layer, one readout."""

    n_layers = 1
    width = 26
    window = 1000
    readouts = ("last",)

    def __init__(self, name, system, dtype):
        # An artifact keeps an encoder's name and loads it again by that.
        self.name, self.system, self.dtype = f"letters:{name}", system, dtype

    def spec(self, layers, readout):
        return FeatureSpec(self.name, "letters", "none", tuple(layers), readout, self.dtype)

    def encode(self, questions, *, layers, readouts):
        counts = np.array([[q.text.lower().count(chr(97 + i)) for i in range(26)] for q in questions], np.float32)
        return np.tile(counts[:, None, None], (1, len(layers), len(readouts), 1))

    def lengths(self, questions):
        return np.array([len(question.text) for question in questions])
