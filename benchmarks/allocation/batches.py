"""A training-like batch and a large serving table, drawn."""

from __future__ import annotations

import numpy as np

from forethought.allocation import Programme, conditional_margins


def training_responses(seed: int, n: int = 512, m: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Which sampled responses are right and which vote, (n, m): votes help most in the middle."""
    rng = np.random.default_rng(seed)
    ease, voted = rng.normal(size=(n, 1)), rng.random((n, m)) < 0.5
    return rng.random((n, m)) < 1 / (1 + np.exp(-ease * (1 + 0.5 * voted) - 0.4 * voted)), voted


def training_programme(right: np.ndarray, voted: np.ndarray, share: float) -> Programme:
    """From responses to the programme, its validation included."""
    return Programme.of_votes(conditional_margins(right, voted).margin, voted, right, share)


def serving_tables(seed: int, n: int, k: int = 8) -> tuple[np.ndarray, np.ndarray, float]:
    """Gains, costs and a budget 30 % of the way up: dearer options are better, with exceptions."""
    rng = np.random.default_rng(seed)
    cost = rng.lognormal(0, 0.5, (n, 1)) * np.geomspace(1, 40, k)
    gain = 1 / (1 + np.exp(-rng.normal(0, 1.5, (n, 1)) - np.linspace(-1, 1, k) - rng.normal(0, 0.4, (n, k))))
    least, most = cost.min(axis=1).mean(), cost.max(axis=1).mean()
    return gain, cost, float(least + 0.3 * (most - least))
