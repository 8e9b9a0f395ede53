from __future__ import annotations

import pytest

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.graders.choice import ChoiceGrader

GRADER = ChoiceGrader()
TEXT = "Which is the capital of the Rhone?\nA) Paris\nB) Lyon\nC) Nice"


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "**B**",
        "(B) Lyon",
        "B. Lyon",
        "The answer is (B) Lyon",
        "Answer: B",
        r"\boxed{\text{(B)}}",
        "Lyon",
        "First (A), but no, (B)",
        "A city in the south: the answer is B",
    ],
)
def test_right(text: str) -> None:
    assert GRADER.grade(Question.ask(TEXT, answers=("B",)), text).verdict == "right"


@pytest.mark.parametrize("text", ["A", "The answer is C.", "Answer: A or B"])
def test_wrong(text: str) -> None:
    assert GRADER.grade(Question.ask(TEXT, answers=("B",)), text).verdict == "wrong"


@pytest.mark.parametrize("text", ["", "A city in the north", "The answer is a city", "I do not know"])
def test_unparsable(text: str) -> None:
    assert GRADER.grade(Question.ask(TEXT, answers=("B",)), text).verdict == "unparsable"


def test_several_letters_are_one_answer_in_any_order() -> None:
    assert GRADER.grade(Question.ask(TEXT, answers=("A, C",)), "C and A").verdict == "right"


def test_a_reference_that_is_no_letter_is_refused() -> None:
    with pytest.raises(DataError, match="no letter"):
        GRADER.grade(Question.ask(TEXT, answers=("Lyon",)), "B")
