"""How much of an answer's text is what the unmodified model would have written (CALM's textual consistency)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Fewest insertions, deletions and substitutions that make one sequence of ids the other (Levenshtein)."""
    if list(one) == list(other):
        return 0
    if not one or not other:
        return len(one) + len(other)
    target = np.asarray(other)
    places = np.arange(len(target) + 1)
    row = places.copy()
    for i, item in enumerate(one, start=1):
        new = np.concatenate([[i], np.minimum(row[1:] + 1, row[:-1] + (target != item))])
        # An insertion costs 1 more than the best to its left: a running minimum once places are taken off.
        row = np.minimum.accumulate(new - places) + places
    return int(row[-1])


def similarity(one: Sequence[int], other: Sequence[int]) -> float:
    """1 less the edit distance as a share of the longer sequence, in [0, 1]; two empty ones are equal."""
    longer = max(len(one), len(other))
    return 1 - edit_distance(one, other) / longer if longer else 1.0
