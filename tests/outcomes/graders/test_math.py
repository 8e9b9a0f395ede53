from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from forethought.core import Question
from forethought.errors import ConfigError, DataError
from forethought.outcomes.graders.math import MathGrader, last_boxed

HANG = r"9^{9^{9^{9}}}"


@pytest.fixture(scope="module")
def grader() -> Iterator[MathGrader]:
    with MathGrader(deadline=5) as grader:
        yield grader


def ask(reference: str) -> Question:
    return Question.ask("Solve.", answers=(reference,))


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (r"\frac{1}{2}", r"It is \boxed{0.5}."),
        (r"\frac{1}{2}", r"First \boxed{3}, then \boxed{\dfrac{1}{2}}"),
        ("x+1", r"\boxed{1+x}"),
        ("42", "The answer is 42."),
        ("42", "So we get $6*7=42$"),
        (r"\text{Friday}", r"\boxed{\text{Friday}}"),
        (r"\frac{\sqrt{2}}{2}", r"\boxed{\frac{1}{\sqrt{2}}}"),
        ("(1,2)", r"\boxed{\left(1, 2\right)}"),
    ],
)
def test_right(grader: MathGrader, reference: str, text: str) -> None:
    assert grader.grade(ask(reference), text).verdict == "right"


def test_wrong_and_unparsable_are_apart(grader: MathGrader) -> None:
    assert grader.grade(ask("42"), r"\boxed{41}").verdict == "wrong"
    assert grader.grade(ask("42"), "I cannot tell.").verdict == "unparsable"
    assert grader.grade(ask("42"), r"\boxed{" + "(" * 50 + "}").verdict == "wrong"


def test_same_is_symmetric(grader: MathGrader) -> None:
    assert grader.same("0.25", r"\frac{1}{4}")
    assert grader.same(r"\frac{1}{4}", "0.25")
    assert not grader.same("1", "2")


def test_a_hanging_comparison_is_killed_and_the_next_one_works() -> None:
    with MathGrader(deadline=1) as grader:
        hung = grader.grade(ask("10"), rf"\boxed{{{HANG}}}")
        assert (hung.verdict, hung.detail) == ("wrong", "deadline passed")
        assert grader.grade(ask("0.5"), r"\boxed{\frac{2}{4}}").verdict == "right"


def test_works_from_other_threads(grader: MathGrader) -> None:
    verdicts: list[str] = []
    threads = [
        threading.Thread(target=lambda: verdicts.append(grader.grade(ask("0.5"), r"\boxed{\frac{3}{6}}").verdict))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == ["right"] * 4


def test_close_ends_the_process() -> None:
    grader = MathGrader()
    grader.same("1", "2")
    process = grader._worker._process
    assert process is not None
    grader.close()
    assert process.returncode is not None


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1} \boxed {2}", "2"),
        (r"\boxed{1} \boxed{2", "1"),
        ("1", None),
    ],
)
def test_last_boxed(text: str, content: str | None) -> None:
    assert last_boxed(text) == content


def test_bad_input(grader: MathGrader) -> None:
    with pytest.raises(DataError, match="no accepted answer"):
        grader.grade(Question.ask("Solve."), "1")
    with pytest.raises(ConfigError, match="deadline"):
        MathGrader(deadline=0)
