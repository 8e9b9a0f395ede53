"""What a policy is, and the two steps that all of them share."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from forethought.errors import DataError
from forethought.metrics import FloatArray, IntArray

ABSTAIN = -1

SLACK = 1e-12
"""Two probabilities this close are one: .9 - .2 must not beat .7 by its last bit."""


class Policy(Protocol):
    """Chooses a target for each question; a pure function of its row, so batches change nothing."""

    @property
    def name(self) -> str:
        """Name in the registry."""

    @property
    def setting(self) -> dict[str, float]:
        """Parameters by name; `policy_from(name, setting)` gives the same policy."""

    @property
    def because(self) -> str:
        """Why a chosen target was chosen, as the end of 'it is ...'."""

    def choose(self, success: FloatArray, cost: FloatArray) -> IntArray:
        """Choose one target a question.

        Args:
            success: Calibrated P(success), shape (n, K).
            cost: Expected USD, shape (n, K).

        Returns:
            Column of each row's target, shape (n,), -1 to abstain. Ties go to the cheaper
            target, then to the earlier.

        Raises:
            DataError: Shapes differ, nothing to choose from, or a value missing or out of range.
        """


def check_table(success: FloatArray, cost: FloatArray) -> None:
    """Refuse what no policy can decide on.

    Raises:
        DataError: As in `Policy.choose`.
    """
    if success.ndim != 2 or success.shape != cost.shape or not success.size:
        raise DataError(f"success {success.shape} and cost {cost.shape} must share one shape (n, K), n and K >= 1")
    # argmin and argmax return the first NaN if there is one, and cost a fifth of min and max.
    if not (success.item(success.argmin()) >= 0 and success.item(success.argmax()) <= 1):
        raise DataError("success must lie in [0, 1] and not be NaN")
    if not (cost.item(cost.argmin()) >= 0 and cost.item(cost.argmax()) < np.inf):
        raise DataError("cost must be >= 0 USD, finite and not NaN")


def best_in_row(table: NDArray[Any]) -> NDArray[Any]:
    """Largest value of each row, shape (n, 1)."""
    if len(table) == 1:
        return table[:, table.argmax(), np.newaxis]
    return np.asarray(table.max(axis=1, keepdims=True))


def cheapest_of_best(worth: NDArray[Any], cost: FloatArray) -> IntArray:
    """Column with the highest worth in each row, ties to the cheaper and then the earlier.

    Args:
        worth: Numbers, or booleans where all that count are equally good, shape (n, K).
        cost: USD, shape (n, K).
    """
    if len(worth) == 1:
        return np.array([_cheapest_of_best_row(worth[0], cost[0])])
    return np.asarray(np.where(worth == best_in_row(worth), cost, np.inf).argmin(axis=1), dtype=np.int64)


def _cheapest_of_best_row(worth: NDArray[Any], cost: FloatArray) -> int:
    first = worth.argmax()
    ties = (worth == worth[first]).nonzero()[0]
    return int(first if len(ties) == 1 else ties[cost[ties].argmin()])
