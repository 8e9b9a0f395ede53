"""Cross-fitting: every question predicted once by a model that never saw it, and inner predictions to choose by.

For each outer fold, what is chosen (a peer, an operating point) is chosen on predictions of the training rows by models
fitted without the row's own fold and without the outer fold. A fit without two folds serves both orders, so five folds
take ten inner fits, not twenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from auxiliary import Auxiliary
from features import Features
from numpy.typing import NDArray
from splits import FOLDS, Rows, Split
from tables import Table

Array = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A table, its folds and what may be read of its questions.

    Attributes:
        auxiliary: Further labels of the same questions, for those who can learn from them.
    """

    table: Table
    split: Split
    features: Features
    auxiliary: Auxiliary


class Contender(Protocol):
    """Something that predicts success.

    Attributes:
        name: As reports print it.
        kind: What it looks at: `text`, `activations`, `both`, or `label` for the group a question comes from.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        """P(success) of the test rows, (n_test, K); labels of the training rows alone may be looked at.

        Choices inside go by folds of the training rows, `view.split.fold[train]`.
        """
        ...


@dataclass(frozen=True)
class Predictions:
    """Cross-fitted predictions.

    Attributes:
        test: (n, K), each row by a fit without the row's fold.
        inner: (folds, n, K): `inner[f]` holds rows outside fold f, each by a fit without its own fold and without
            f; NaN elsewhere, and everywhere where only `test` was asked.
    """

    test: Array
    inner: Array


def cross_fit(contender: Contender, view: View, *, inner: bool) -> Predictions:
    """Fit and predict fold by fold."""
    split, shape = view.split, view.table.success.shape
    found = Predictions(np.full(shape, np.nan), np.full((FOLDS, *shape), np.nan))
    for fold in range(FOLDS):
        rows = split.test(fold)
        found.test[rows] = contender.predict(view, split.train(fold), rows)
    for a, b in combinations(range(FOLDS), 2) if inner else ():
        rows = np.concatenate([split.test(a), split.test(b)])
        P = contender.predict(view, split.train(a, b), rows)
        in_b = split.fold[rows] == b
        found.inner[a][rows[in_b]], found.inner[b][rows[~in_b]] = P[in_b], P[~in_b]
    return found
