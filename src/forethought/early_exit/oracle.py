"""The least depth that any rule could need: where an exit first says what full depth will say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forethought.early_exit.calibration import Reference
from forethought.early_exit.teacher_forcing import ExitReadouts
from forethought.errors import ConfigError
from forethought.metrics import IntArray, static_hull


@dataclass(frozen=True, eq=False)
class Oracle:
    """First agreeing layers along the unmodified model's answers.

    It knows what full depth will say, and no keys or values are lost for leaving: a bound, not a rule.

    Attributes:
        reference: Whose full depth is agreed with: the adapted model's or the unmodified one's.
        n_layers: L.
        question: Whose answer each pass belongs to, shape (passes,).
        depths: The shallowest exit whose likeliest token is full depth's, L where none is, shape (passes,).
    """

    reference: Reference
    n_layers: int
    question: IntArray
    depths: IntArray

    @property
    def mean_depth(self) -> float:
        """Layers a pass."""
        return float(self.depths.mean())

    @property
    def headroom(self) -> float:
        """Share of the layers that it spares."""
        return 1 - self.mean_depth / self.n_layers


def first_agreeing(readouts: ExitReadouts, reference: Reference = "teacher") -> Oracle:
    """Find the first agreeing layer of each pass.

    Args:
        readouts: Of every exit, from `teacher_force`.
        reference: Whose full depth is agreed with: the unmodified model's, which every other figure is measured
            against, or the adapted one's, which may have drifted towards its own exits.

    Raises:
        ConfigError: An unknown reference.
    """
    if reference not in ("student", "teacher"):
        raise ConfigError(f"reference must be 'student' or 'teacher', got {reference!r}")
    full = readouts.student if reference == "student" else readouts.teacher
    agrees = np.vstack([readouts.exits == full, np.ones((1, len(full)), dtype=bool)])
    depths = np.array([*readouts.layers, readouts.n_layers])[agrees.argmax(axis=0)]
    return Oracle(reference, readouts.n_layers, readouts.question, depths)


def static_depth(depths: Sequence[float], accuracies: Sequence[float], accuracy: float) -> float:
    """Mean layers with which mixtures of static cuts reach an accuracy: what no rule needs to look at a token for.

    Args:
        depths: Mean layers of each cut, full depth among them.
        accuracies: Of each cut.
        accuracy: To reach.

    Returns:
        NaN where no cut is that accurate.
    """
    hull = static_hull(np.array(depths, dtype=np.float64), np.array(accuracies, dtype=np.float64))
    return hull.cost_at(accuracy)


def headroom_share(static: float, ours: float, least: float) -> float:
    """(static - ours) / (static - oracle), in mean layers: 1 is the oracle, 0 is no better than static cuts.

    Args:
        static: Of the hull of static cuts at the accuracy in question.
        ours: Of the rule.
        least: Of the oracle.

    Returns:
        NaN where the oracle is no shallower than the static cuts: there is no room to share.
    """
    return (static - ours) / (static - least) if static > least else float("nan")
