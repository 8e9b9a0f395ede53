"""What voting adds to each question of a batch, from sampled responses (arXiv 2501.17974, eq. 6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from forethought.errors import ConfigError, DataError
from forethought.metrics import BoolArray, FloatArray


class Margins(NamedTuple):
    """Margins of a batch, and what they rest on.

    Attributes:
        margin: Success of voting less that of a single answer, in [-1, 1], shape (n,); 0 where a group has no sample.
        weight: a b / (a + b) of a voting and b single samples, shape (n,): one over the margin's variance in units of
            one sample's; 0 where a group has none.
    """

    margin: FloatArray
    weight: FloatArray

    @property
    def known(self) -> BoolArray:
        """Questions with samples of both groups, shape (n,)."""
        return np.asarray(self.weight > 0)


def conditional_margins(correct: BoolArray, voted: BoolArray) -> Margins:
    """Mean success of voting samples less that of single ones: the paper's eq. 6.

    Args:
        correct: Which responses are right, shape (n, m).
        voted: Which vote, shape (n, m).

    Raises:
        DataError: Shapes differ, or a table is not boolean.
    """
    _check(correct, voted)
    votes = voted.sum(axis=1).astype(np.float64)
    singles = voted.shape[1] - votes
    weight = votes * singles / voted.shape[1]
    by_vote = (correct & voted).sum(axis=1) / np.maximum(votes, 1)
    by_single = (correct & ~voted).sum(axis=1) / np.maximum(singles, 1)
    return Margins(np.where(weight > 0, by_vote - by_single, 0.0), weight)


def joint_margins(correct: BoolArray, voted: BoolArray) -> FloatArray:
    """Share of right voting samples less that of right single ones, both of all m: what the paper's listing computes.

    It is not eq. 6: it says how often the model happened to vote as much as how well that went. With as many voting as
    single samples it is half the conditional margin. Kept to show the difference.

    Args:
        correct: Which responses are right, shape (n, m).
        voted: Which vote, shape (n, m).

    Returns:
        Shape (n,), in [-1, 1].

    Raises:
        DataError: Shapes differ, or a table is not boolean.
    """
    _check(correct, voted)
    return np.asarray((correct & voted).mean(axis=1) - (correct & ~voted).mean(axis=1))


class SmoothedMargins:
    """Margins regressed on what is known of a question, over batches whose weight fades.

    The margin of one question from a handful of samples is mostly noise; a ridge regression on features, such as a
    probe's, borrows from like questions and needs no samples of its own question. The constant is not penalised: with
    no other feature it is the mean margin so far. Before the first known margin every prediction is 0.

    Args:
        width: Features of a question, >= 0; on like scales, since they share one penalty.
        penalty: In units of `Margins.weight`, > 0: features count for half where they carry this much.
        discount: What a batch weighs after one more has come, in (0, 1].

    Attributes:
        moments: Discounted weighted sum of products of features and 1, shape (width + 1, width + 1).
        products: That of their products with margins, shape (width + 1,).
    """

    def __init__(self, width: int, *, penalty: float = 4.0, discount: float = 0.95) -> None:
        if width < 0 or not 0 < penalty < np.inf or not 0 < discount <= 1:
            raise ConfigError(
                f"need width >= 0, penalty > 0 and discount in (0, 1], got {width}, {penalty} and {discount}"
            )
        self.width, self.penalty, self.discount = width, penalty, discount
        self.moments: FloatArray = np.zeros((width + 1, width + 1))
        self.products: FloatArray = np.zeros(width + 1)

    def update(self, features: FloatArray, margins: FloatArray, weights: FloatArray) -> None:
        """Learn from a batch; one without a known margin leaves all as it was.

        Args:
            features: Shape (n, width).
            margins: Shape (n,), as `conditional_margins` gives them.
            weights: Shape (n,), >= 0; 0 where a margin is not known.

        Raises:
            DataError: Other shapes, values that are not finite, or a negative weight.
        """
        table = self._with_constant(features)
        if margins.shape != weights.shape or margins.shape != table.shape[:1]:
            raise DataError(f"{len(table)} questions need as many margins {margins.shape} and weights {weights.shape}")
        if not (np.isfinite(margins).all() and np.isfinite(weights).all() and (weights >= 0).all()):
            raise DataError("margins must be finite, weights finite and >= 0")
        if not weights.any():
            return
        weighted = table * weights[:, np.newaxis]
        self.moments = self.discount * self.moments + weighted.T @ table
        self.products = self.discount * self.products + weighted.T @ margins

    def predict(self, features: FloatArray) -> FloatArray:
        """Expected margins, shape (n,).

        Args:
            features: Shape (n, width).

        Raises:
            DataError: Another shape, or values that are not finite.
        """
        table = self._with_constant(features)
        if self.moments[-1, -1] == 0:
            return np.zeros(len(table))
        penalties = np.diag(np.append(np.full(self.width, self.penalty), 0.0))
        return np.asarray(table @ np.linalg.solve(self.moments + penalties, self.products))

    def _with_constant(self, features: FloatArray) -> FloatArray:
        if features.ndim != 2 or features.shape[1] != self.width or not np.isfinite(features).all():
            raise DataError(f"features must be finite, of shape (n, {self.width}), got shape {features.shape}")
        return np.column_stack([features, np.ones(len(features))])


def _check(correct: BoolArray, voted: BoolArray) -> None:
    if correct.ndim != 2 or correct.shape != voted.shape or not correct.size:
        raise DataError(f"correct {correct.shape} and voted {voted.shape} must share one shape (n, m), n and m >= 1")
    if correct.dtype != np.bool_ or voted.dtype != np.bool_:
        raise DataError(f"correct and voted must be boolean, got {correct.dtype} and {voted.dtype}")
