"""Where targets agree, a router cannot matter; where they do not, how close its misses were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from forethought.metrics._types import FloatArray, IntArray, require_same_shape
from forethought.metrics.points import ABSTAIN, picked

FLIPPABLE = 0.05
TINY = 0.02
RIGHT = 0.5


class Zones(NamedTuple):
    """How often targets agree (2603.20895, section 6).

    Attributes:
        all_right: Share of the questions.
        disagree: Share of the questions.
        all_wrong: Share of the questions.
        accuracy: The router's mean success inside the disagree zone; NaN if that is empty.
    """

    all_right: float
    disagree: float
    all_wrong: float
    accuracy: float


@dataclass(frozen=True)
class NearMisses:
    """Wrong choices where some target was right.

    Attributes:
        count: How many.
        flippable: Those whose probability led the best right target's by less than .05.
        tiny: By less than .02.
    """

    count: int
    flippable: int
    tiny: int


def agreement_zones(Y: FloatArray, choice: IntArray) -> Zones:
    """Divide the questions that every target has a label for; a success rate >= .5 is right.

    Args:
        Y: Success in [0, 1], shape (n, K).
        choice: Shape (n,), -1 abstains and scores 0.
    """
    Y, choice = _whole(Y, choice)
    if not len(Y):
        return Zones(*[float("nan")] * 4)
    right = Y >= RIGHT
    every, none = right.all(axis=1), ~right.any(axis=1)
    disagree = ~(every | none)
    accuracy = float(picked(Y[disagree], choice[disagree]).mean()) if disagree.any() else float("nan")
    return Zones(float(every.mean()), float(disagree.mean()), float(none.mean()), accuracy)


def near_misses(Y: FloatArray, P: FloatArray, choice: IntArray) -> NearMisses:
    """Count wrong choices in the disagree zone by how little they were preferred.

    Args:
        Y: Success in [0, 1], shape (n, K).
        P: P(success), shape (n, K).
        choice: Shape (n,); an abstention is no wrong choice.
    """
    require_same_shape(Y=Y, P=P)
    whole = ~np.isnan(Y).any(axis=1)
    Y, P, choice = Y[whole], P[whole], choice[whole]
    right = Y >= RIGHT
    missed = (choice != ABSTAIN) & right.any(axis=1) & (picked(Y, choice) < RIGHT)
    lead = picked(P, choice)[missed] - np.where(right, P, -np.inf)[missed].max(axis=1, initial=-np.inf)
    return NearMisses(int(missed.sum()), int((lead < FLIPPABLE).sum()), int((lead < TINY).sum()))


def pairwise_win_rate(Y: FloatArray, P: FloatArray) -> float:
    """P(p_A > p_B given A right and B wrong on the same question), ties half; NaN without such pairs."""
    require_same_shape(Y=Y, P=P)
    seen = ~np.isnan(Y)
    right, wrong = seen & (Y >= RIGHT), seen & (Y < RIGHT)
    wins = pairs = 0.0
    for a in range(Y.shape[1]):
        pair = right[:, [a]] & wrong
        lead = P[:, [a]] - P
        wins += float(((lead > 0) + 0.5 * (lead == 0))[pair].sum())
        pairs += float(pair.sum())
    return wins / pairs if pairs else float("nan")


def _whole(Y: FloatArray, choice: IntArray) -> tuple[FloatArray, IntArray]:
    whole = ~np.isnan(Y).any(axis=1)
    return Y[whole], choice[whole]
