"""A figure of several rounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forethought.bench import Figure

SEED, DRAWS = 0, 2000


def figure(values: Sequence[float] | np.ndarray) -> Figure:
    """Median of the rounds, with the 95 % bootstrap interval over rounds."""
    rounds = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(SEED).integers(len(rounds), size=(DRAWS, len(rounds)))
    low, high = np.quantile(np.median(rounds[drawn], axis=1), [0.025, 0.975])
    return Figure(float(np.median(rounds)), float(low), float(high), len(rounds))
