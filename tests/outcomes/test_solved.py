from __future__ import annotations

from forethought.core import Question
from forethought.outcomes import by_group, closest_group

SOLVED = [
    Question.ask("What is 1 + 1?", group="sums"),
    Question.ask("Capital of Peru?", group="capitals"),
    Question.ask("What is 2 + 3?", group="sums"),
]


def test_groups_keep_their_order() -> None:
    assert {group: len(found) for group, found in by_group(SOLVED).items()} == {"sums": 2, "capitals": 1}


def test_the_closest_group_shares_most_words() -> None:
    examples = by_group(SOLVED)
    assert closest_group("capital of Chad", examples) == "capitals"
    assert closest_group("what is 9 + 9", examples) == "sums"
    assert (closest_group("", examples), closest_group("anything", {})) == ("sums", "")
