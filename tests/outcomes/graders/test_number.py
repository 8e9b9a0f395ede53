from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.graders.number import NumberGrader

GRADER = NumberGrader()


def verdict(reference: str, text: str) -> str:
    return GRADER.grade(Question.ask("How many?", answers=(reference,)), text).verdict


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("42", "The answer is 42."),
        ("1200.5", "It costs $1,200.50"),
        ("-3", "x = −3"),
        ("0.75", "3/4"),
        ("5", "from 2-5"),
        ("7", "first 3, then 4\n#### 7\n"),
        ("4", "The answer is 4, since 2 + 2 makes it."),
        ("1000", "1e3"),
        ("50", "50 %"),
    ],
)
def test_right(reference: str, text: str) -> None:
    assert verdict(reference, text) == "right"


@pytest.mark.parametrize("text", ["41", "142", "4.2", "-42", "9" * 5000, "42 or 43"])
def test_wrong(text: str) -> None:
    assert verdict("42", text) == "wrong"


@pytest.mark.parametrize("text", ["", "forty-two", "1/0"])
def test_unparsable(text: str) -> None:
    assert verdict("42", text) == "unparsable"


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=3))
def test_a_number_equals_itself_however_grouped(value: object) -> None:
    assert verdict(str(value), f"The answer is {value:,}") == "right"


def test_a_reference_without_number_is_refused() -> None:
    with pytest.raises(DataError, match="no number"):
        verdict("many", "3")
