"""The lattice of vote counts: every multiset of counts that so many answers can form, and what leads where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from forethought.errors import ConfigError
from forethought.metrics import IntArray

MOST_VOTES = 40
"""Partitions of 0..40 number 215,308; beyond, the lattice no longer fits a small machine."""

Partition = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Lattice:
    """Partitions of 0..cap, by number of votes and then falling counts.

    A node's `kinds` are its distinct counts, falling; equal counts share their future.

    Attributes:
        index: Partition -> node.
        sizes: Distinct counts of each node, 0 where there are fewer, shape (N, D).
        multiplicity: How many answers have each of them, shape (N, D).
        successor: Node after one more vote for an answer of that kind, or in the last column for a
            new answer; N (one past the end) where there is none, shape (N, D + 1).
        levels: Where each number of votes begins; the last entry is N. Shape (cap + 2,).
    """

    index: dict[Partition, int]
    sizes: IntArray
    multiplicity: IntArray
    successor: IntArray
    levels: IntArray

    @property
    def cap(self) -> int:
        """Most votes."""
        return len(self.levels) - 2

    def level(self, votes: int) -> slice:
        """The nodes with so many votes."""
        return slice(int(self.levels[votes]), int(self.levels[votes + 1]))


@lru_cache(maxsize=4)
def lattice(cap: int) -> Lattice:
    """The lattice of 0..cap votes.

    Raises:
        ConfigError: A cap outside 1..MOST_VOTES.
    """
    if not 1 <= cap <= MOST_VOTES:
        raise ConfigError(f"a lattice of votes needs a cap from 1 to {MOST_VOTES}, got {cap}")
    nodes = [partition for votes in range(cap + 1) for partition in _partitions(votes, votes)]
    index = {partition: i for i, partition in enumerate(nodes)}
    depth = max(len(set(partition)) for partition in nodes)
    sizes = np.zeros((len(nodes), depth), dtype=np.int64)
    multiplicity = np.zeros_like(sizes)
    successor = np.full((len(nodes), depth + 1), len(nodes), dtype=np.int64)
    for i, partition in enumerate(nodes):
        kinds = sorted(set(partition), reverse=True)
        for d, size in enumerate(kinds):
            sizes[i, d], multiplicity[i, d] = size, partition.count(size)
            successor[i, d] = index.get(_incremented(partition, size), len(nodes))
        successor[i, depth] = index.get((*partition, 1), len(nodes))
    votes_of = np.fromiter(map(sum, nodes), dtype=np.int64, count=len(nodes))
    return Lattice(index, sizes, multiplicity, successor, np.searchsorted(votes_of, np.arange(cap + 2)))


def _partitions(votes: int, largest: int) -> Iterator[Partition]:
    if votes == 0:
        yield ()
        return
    for first in range(min(votes, largest), 0, -1):
        for rest in _partitions(votes - first, first):
            yield (first, *rest)


def _incremented(partition: Partition, size: int) -> Partition:
    """One more vote for an answer with `size` votes: its first place keeps the order falling."""
    at = partition.index(size)
    return (*partition[:at], size + 1, *partition[at + 1 :])
