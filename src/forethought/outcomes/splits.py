"""Splits that keep what belongs together on one side: same text, same entity, whatever the source.

Every function depends on the set of questions and the seed, never on their order.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from forethought.core import Question, content_hash
from forethought.errors import ConfigError, DataError

IntArray = NDArray[np.int64]


def normalised_text(text: str) -> str:
    """The text up to case, width, spacing and punctuation: NFKC, casefold, punctuation to space.

    Symbols (`+`, `=`, `$`) stay, each a word of its own; a text of nothing else than punctuation
    stays as it is.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_WORDS).split()) or folded.strip()


def components(questions: Sequence[Question]) -> IntArray:
    """Number the connected components of shared normalised text or shared entity, `(n,)`.

    Numbers go by first appearance. Questions linked through a chain of others are one component.

    Raises:
        DataError: Two questions have the same id.
    """
    _check_ids(questions)
    keys: dict[tuple[str, str], int] = {}
    edges = [
        (row, keys.setdefault(key, len(keys))) for row, question in enumerate(questions) for key in _ties(question)
    ]
    if not edges:
        return np.empty(0, dtype=np.int64)
    rows, columns = np.array(edges).T
    nodes = len(questions) + len(keys)
    graph = coo_array((np.ones(len(edges), dtype=np.int8), (rows, columns + len(questions))), shape=(nodes, nodes))
    found = connected_components(graph, directed=False)[1][: len(questions)]
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def split(questions: Sequence[Question], shares: Sequence[float] = (0.5, 0.2, 0.3), seed: int = 0) -> list[IntArray]:
    """Deal whole components into parts of these shares, each group alike as well as components allow.

    Args:
        questions: The questions, with unique ids.
        shares: Positive, summing to 1.
        seed: Another seed, another split.

    Returns:
        Sorted row numbers of each part; together every row once.

    Raises:
        ConfigError: Shares that are not positive or do not sum to 1.
        DataError: So few components that a part stays empty.
    """
    wanted = np.asarray(shares, dtype=np.float64)
    if wanted.ndim != 1 or not (wanted > 0).all() or not np.isclose(wanted.sum(), 1.0):
        raise ConfigError(f"shares must be positive and sum to 1, got {tuple(shares)}")
    part = _deal(questions, wanted, seed)
    return [np.flatnonzero(part == index) for index in range(len(wanted))]


def folds(questions: Sequence[Question], k: int = 5, seed: int = 0) -> IntArray:
    """Number each question's fold, `(n,)` in 0..k-1: equal shares of whole components.

    Raises:
        ConfigError: k < 2.
        DataError: Fewer components than folds.
    """
    if k < 2:
        raise ConfigError(f"k must be >= 2 folds, got {k}")
    return _deal(questions, np.full(k, 1 / k), seed)


def hold_out_groups(
    questions: Sequence[Question], test_size: float | int = 0.2, seed: int = 0
) -> tuple[IntArray, IntArray]:
    """Hold whole groups out, and still let no component stand on both sides.

    A component that spans kept and held-out groups (a country with its capital and its currency)
    serves one side only and its rows of the other side are dropped; such components go to the
    two sides in turn.

    Args:
        questions: The questions, with unique ids.
        test_size: Share of the groups (float in (0, 1)) or number of them (int).
        seed: Chooses the groups and the turns.

    Returns:
        Sorted row numbers kept for training, and those held out.

    Raises:
        ConfigError: A share or number that leaves no group on one side.
        DataError: A side without questions.
    """
    component = components(questions)
    names = np.array([question.group for question in questions])
    held = np.isin(names, _chosen_groups(set(names.tolist()), test_size, seed))
    count = int(component.max(initial=-1)) + 1
    touches_held = np.bincount(component, held, count) > 0
    touches_kept = np.bincount(component, ~held, count) > 0
    serves_test = touches_held & ~touches_kept
    spanning = _shuffled(questions, component, seed)
    spanning = spanning[(touches_held & touches_kept)[spanning]]
    serves_test[spanning[::2]] = True
    sides = np.flatnonzero(~held & ~serves_test[component]), np.flatnonzero(held & serves_test[component])
    if not all(side.size for side in sides):
        raise DataError(f"holding groups out leaves {sides[0].size} rows to train and {sides[1].size} to test")
    return sides


def _ties(question: Question) -> list[tuple[str, str]]:
    """What ties a question to others; a text never ties to an entity of the same words."""
    return [("text", normalised_text(question.text))] + [("entity", normalised_text(e)) for e in question.entities]


class _Words(dict[int, str]):
    """Translation table, filled as characters come: punctuation to space, a symbol to a word."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        kind = unicodedata.category(char)[0]
        self[code] = " " if kind in "PZC" else f" {char} " if kind == "S" else char
        return self[code]


_WORDS = _Words()


def _deal(questions: Sequence[Question], shares: NDArray[np.float64], seed: int) -> IntArray:
    """Deal components, largest first, each to the part whose squared deviation per share grows least.

    Deviations are counted in questions, of every group and of the total.
    """
    component = components(questions)
    members = _group_counts(questions, component)
    sizes = members.sum(axis=1)
    members = np.column_stack([members, sizes])
    short = -np.outer(shares, members.sum(axis=0))
    order = _shuffled(questions, component, seed)
    part = np.empty(len(sizes), dtype=np.int64)
    for index in order[np.argsort(-sizes[order], kind="stable")]:
        counts = members[index]
        inside = np.flatnonzero(counts)
        growth = (2 * short[:, inside] + counts[inside]) @ counts[inside] / shares
        part[index] = np.argmin(np.round(growth, 9))
        short[part[index]] += counts
    if empty := len(shares) - len(np.unique(part)):
        raise DataError(f"{len(sizes)} components of questions leave {empty} of {len(shares)} parts empty")
    return part[component]


def _group_counts(questions: Sequence[Question], component: IntArray) -> NDArray[np.float64]:
    """Questions of each component in each group, `(components, groups)`."""
    names = sorted({question.group for question in questions})
    column = {name: index for index, name in enumerate(names)}
    counts = np.zeros((int(component.max(initial=-1)) + 1, len(names)))
    np.add.at(counts, (component, np.array([column[question.group] for question in questions], dtype=np.int64)), 1)
    return counts


def _shuffled(questions: Sequence[Question], component: IntArray, seed: int) -> IntArray:
    """Components in an order that the seed and their smallest ids decide."""
    names: dict[int, str] = {}
    for number, question in zip(component.tolist(), questions, strict=True):
        names[number] = min(names.get(number, question.id), question.id)
    return np.array(sorted(names, key=lambda number: content_hash(f"{seed}:{names[number]}")), dtype=np.int64)


def _chosen_groups(groups: set[str], test_size: float | int, seed: int) -> list[str]:
    count = test_size if isinstance(test_size, int) else max(1, round(test_size * len(groups)))
    if not 1 <= count < len(groups) or test_size <= 0:
        raise ConfigError(f"test_size must leave groups on both sides of {len(groups)}, got {test_size}")
    return sorted(groups, key=lambda group: content_hash(f"{seed}:{group}"))[:count]


def _check_ids(questions: Sequence[Question]) -> None:
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise DataError(f"two questions have the id {question.id!r}; ids must be unique")
        seen.add(question.id)
