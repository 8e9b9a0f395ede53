"""Two ways to divide a table: folds of questions, and folds of whole groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tables import Table

from forethought.core import Question, content_hash
from forethought.outcomes import components, folds

Rows = NDArray[np.intp]
Kind = Literal["in_domain", "groups_held_out"]

FOLDS = 5
LEAST_GROUPS = 5


@dataclass(frozen=True)
class Split:
    """Five folds in which each question is tested once.

    Attributes:
        kind: Folds of questions, or of whole groups.
        fold: Fold of each question, (n,).
        component: Component of equal text over all sources, (n,).
        clusters: What intervals are drawn by, (n,): the component, or the group where groups are held out.
    """

    kind: Kind
    fold: NDArray[np.int64]
    component: NDArray[np.int64]
    clusters: NDArray[np.int64]

    def train(self, *held: int) -> Rows:
        """Rows outside the held folds, without those whose text stands in one of them."""
        out = np.isin(self.fold, held)
        return np.flatnonzero(~out & ~np.isin(self.component, self.component[out]))

    def test(self, fold: int) -> Rows:
        """Rows of a fold."""
        return np.flatnonzero(self.fold == fold)


def global_components(tables: Sequence[Table]) -> dict[str, int]:
    """Question id -> component of equal normalised text, over all tables."""
    unique = _unique(tables)
    return dict(zip(unique, components(list(unique.values())).tolist(), strict=True))


def global_folds(tables: Sequence[Table], seed: int) -> dict[str, int]:
    """Question id -> fold: one text stands in one fold of every table it occurs in."""
    unique = _unique(tables)
    # The source a question comes from is its group, so that every table is dealt out evenly.
    source = {question.id: table.name for table in reversed(tables) for question in table.questions}
    questions = [replace(question, group=source[id]) for id, question in unique.items()]
    return dict(zip(unique, folds(questions, FOLDS, seed).tolist(), strict=True))


def by_question(table: Table, fold: Mapping[str, int], component: Mapping[str, int]) -> Split:
    """Folds of questions; intervals go by component."""
    parts = np.array([component[id] for id in table.ids], dtype=np.int64)
    return Split("in_domain", np.array([fold[id] for id in table.ids], dtype=np.int64), parts, parts)


def by_group(table: Table, component: Mapping[str, int], seed: int) -> Split | None:
    """Folds of whole groups, dealt largest first to the smallest fold; None for fewer than five groups."""
    names, group, sizes = np.unique(table.groups, return_inverse=True, return_counts=True)
    if len(names) < LEAST_GROUPS:
        return None
    tie = [content_hash(f"{seed}:{name}") for name in names]
    filled, fold = np.zeros(FOLDS), np.zeros(len(names), dtype=np.int64)
    for index in sorted(range(len(names)), key=lambda index: (-sizes[index], tie[index])):
        fold[index] = filled.argmin()
        filled[fold[index]] += sizes[index]
    parts = np.array([component[id] for id in table.ids], dtype=np.int64)
    return Split("groups_held_out", fold[group], parts, group.astype(np.int64))


def _unique(tables: Sequence[Table]) -> dict[str, Question]:
    return {question.id: question for table in tables for question in table.questions}
