from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.early_exit.consistency import edit_distance, similarity

IDS = st.lists(st.integers(0, 3), max_size=8)


def by_definition(one: list[int], other: list[int]) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        replaced = distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(replaced, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(one), len(other))


@given(IDS, IDS)
def test_edit_distance_is_levenshteins(one: list[int], other: list[int]) -> None:
    assert edit_distance(one, other) == by_definition(one, other) == edit_distance(other, one)


@given(IDS, IDS)
def test_similarity_is_one_for_equal_answers_alone(one: list[int], other: list[int]) -> None:
    assert 0 <= similarity(one, other) <= 1
    assert (similarity(one, other) == 1) == (one == other)


def test_similarity_by_hand() -> None:
    assert similarity([1, 2, 3, 4], [1, 3, 4]) == pytest.approx(3 / 4)
    assert similarity([], [1]) == 0
    assert similarity([], []) == 1
