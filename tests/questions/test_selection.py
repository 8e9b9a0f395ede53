from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import Question
from forethought.errors import ConfigError, DataError
from forethought.questions import spread

QUESTIONS = [Question.ask(f"question {i}", id=f"q{i}", group="abc"[i % 7 % 3]) for i in range(60)]


@given(limit=st.integers(1, 59), seed=st.integers(0, 50))
def test_groups_are_drawn_evenly_and_the_order_stays(limit, seed):
    drawn = spread(QUESTIONS, limit, seed)
    assert len(drawn) == limit
    assert [q.id for q in drawn] == [q.id for q in QUESTIONS if q in drawn]
    sizes = Counter(q.group for q in QUESTIONS)
    counts = Counter(q.group for q in drawn)
    level = max(counts.values())
    assert all(counts[group] >= min(level - 1, sizes[group]) for group in sizes)


@given(seed=st.integers(0, 50))
def test_a_larger_limit_keeps_what_a_smaller_one_drew(seed):
    assert {q.id for q in spread(QUESTIONS, 10, seed)} <= {q.id for q in spread(QUESTIONS, 20, seed)}


@pytest.mark.parametrize("limit", [None, 60, 1000])
def test_no_limit_keeps_all(limit):
    assert spread(QUESTIONS, limit, 0) == QUESTIONS


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigError, match="limit must be >= 1, got 0"):
        spread(QUESTIONS, 0, 0)
    with pytest.raises(DataError, match="no questions"):
        spread([], None, 0)
