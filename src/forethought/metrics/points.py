"""What a choice of targets achieved and cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from forethought.metrics._types import FloatArray, IntArray, require, require_same_shape

ABSTAIN = -1


class Point(NamedTuple):
    """Accuracy and cost of one way to choose.

    Attributes:
        accuracy: Mean success per question, an abstention counted as 0.
        cost: Mean USD per question, an abstention counted as 0.
        abstained: Share of the questions left unanswered.
    """

    accuracy: float
    cost: float
    abstained: float = 0.0


def picked(table: FloatArray, choice: IntArray) -> FloatArray:
    """The chosen target's entry of each row, 0 where the choice is to abstain.

    Args:
        table: Shape (n, K).
        choice: Column of each row, shape (n,); -1 abstains.

    Raises:
        DataError: A choice outside -1 .. K - 1, or another length.
    """
    require(choice.shape == table.shape[:1], f"{choice.shape} choices for a table of shape {table.shape}")
    in_range = choice.size == 0 or (choice.min() >= ABSTAIN and choice.max() < table.shape[1])
    require(bool(in_range), f"choices must lie in -1 .. {table.shape[1] - 1}")
    values = table[np.arange(len(choice)), choice]
    return np.where(choice == ABSTAIN, 0.0, values)


def operating_point(Y: FloatArray, cost: FloatArray, choice: IntArray) -> Point:
    """Accuracy and cost of a choice over the questions whose chosen label was observed.

    Args:
        Y: Success in [0, 1], shape (n, K), NaN where missing.
        cost: USD, shape (n, K).
        choice: Shape (n,), -1 abstains.
    """
    require_same_shape(Y=Y, cost=cost)
    success, spent = picked(Y, choice), picked(cost, choice)
    seen = ~np.isnan(success)
    require(bool(seen.any()), "no chosen target has a label; accuracy is undefined")
    return Point(float(success[seen].mean()), float(spent[seen].mean()), float(np.mean(choice[seen] == ABSTAIN)))


def observed_mean(table: FloatArray) -> FloatArray:
    """Mean of each column over what was observed, NaN where nothing was."""
    seen = ~np.isnan(table)
    count = seen.sum(axis=0)
    total = np.where(seen, table, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
