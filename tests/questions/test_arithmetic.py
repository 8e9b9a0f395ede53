from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import Question
from forethought.errors import ConfigError, DataError
from forethought.outcomes.graders import grader
from forethought.questions import arithmetic_question, arithmetic_questions, worked
from forethought.questions.arithmetic import LEVELS, MOST, expressions, part_of, steps, written_out

PARTS = ("train", "validation", "test")
seeds = st.integers(0, 2**32)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("37+58-4=", "37+58=95;95-4=91;91"),
        ("12*8=", "12*8=96;96"),
        ("12*3-36+5=", "12*3=36;36-36=0;0+5=5;5"),
    ],
)
def test_worked_by_hand(expression: str, text: str) -> None:
    assert worked(Question.ask(expression)) == text


def test_a_question_says_its_level_and_its_answer() -> None:
    asked = arithmetic_question("37+58-4=")
    assert (asked.text, asked.answers, asked.group, asked.difficulty) == ("37+58-4=", ("91",), "arithmetic-2", 2.0)


@given(seeds, st.sampled_from(PARTS), st.sampled_from(LEVELS))
def test_every_draw_is_ordinary_arithmetic_within_bounds(seed: int, part: str, level: int) -> None:
    (expression,) = expressions(part, 1, seed=seed, levels=[level])  # type: ignore[arg-type]
    taken = steps(expression)
    assert len(taken) == level
    assert part_of(expression) == part
    # Python's own precedence agrees with reading from left to right.
    assert taken[-1][3] == eval(expression[:-1], {"__builtins__": {}})
    assert all(0 <= value <= MOST for a, _, b, c in taken for value in (a, b, c))
    assert all(sign != "*" for _, sign, _, _ in taken[1:])


@given(seeds)
def test_the_grader_reads_the_answer_of_a_worked_text_and_only_that(seed: int) -> None:
    (expression,) = expressions("test", 1, seed=seed)
    asked = arithmetic_question(expression)
    number = grader(asked.grader)
    assert number.grade(asked, worked(asked)).verdict == "right"
    assert number.grade(asked, f"{worked(asked)}1").verdict == "wrong"
    assert number.grade(asked, worked(asked).rpartition(";")[0] + f";{int(asked.answers[0]) + 1}").verdict == "wrong"
    assert number.grade(asked, ";").verdict == "unparsable"


def test_parts_share_no_expression() -> None:
    drawn = {part: set(expressions(part, 5_000, seed=0)) for part in PARTS}  # type: ignore[arg-type]
    assert not drawn["train"] & drawn["test"]
    assert not drawn["train"] & drawn["validation"]
    assert not drawn["validation"] & drawn["test"]


def test_about_a_tenth_of_all_expressions_is_for_testing() -> None:
    parts = [part_of(f"{a}+{b}=") for a in range(10, 100) for b in range(1, 100)]
    assert parts.count("test") / len(parts) == pytest.approx(0.1, abs=0.01)
    assert parts.count("validation") / len(parts) == pytest.approx(0.1, abs=0.01)


def test_questions_are_distinct_balanced_and_follow_the_seed() -> None:
    drawn = arithmetic_questions("test", 1_000, seed=3)
    assert len({question.id for question in drawn}) == 1_000
    groups = [question.group for question in drawn]
    assert all(groups.count(f"arithmetic-{level}") == 200 for level in LEVELS)
    assert drawn[:50] == arithmetic_questions("test", 50, seed=3)
    assert drawn[:50] != arithmetic_questions("test", 50, seed=4)


def test_drawing_for_training_is_fast() -> None:
    before = time.process_time()
    texts = [written_out(expression) for expression in expressions("train", 20_000, seed=0)]
    assert time.process_time() - before < 2
    assert 7 <= min(map(len, texts)) <= max(map(len, texts)) <= 58


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="part must be"):
        arithmetic_questions("dev", 1, seed=0)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="levels must be"):
        expressions("train", 1, seed=0, levels=[6])
    with pytest.raises(ConfigError, match="levels must be"):
        expressions("train", 1, seed=0, levels=[])
    with pytest.raises(ConfigError, match="no 5000 distinct"):
        arithmetic_questions("test", 5_000, seed=0, levels=[1])
    for text in ("37+58", "37=", "+3=", "2**3=", "37 + 58=", "3/4="):
        with pytest.raises(DataError, match="looks like"):
            steps(text)
