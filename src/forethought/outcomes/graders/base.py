"""What a grader says about an answer, and the protocol every grader follows."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from forethought.core import Question

Verdict = Literal["right", "wrong", "unparsable"]


class Grade(NamedTuple):
    """What became of one answer.

    Attributes:
        success: In [0, 1].
        verdict: `unparsable` when no answer could be read out of the text; success is then 0.
        answer: What was read out of the text: equal answers are equal votes. None when unparsable.
        detail: How the verdict came about, where a grader has more to say.
    """

    success: float
    verdict: Verdict
    answer: str | None
    detail: str = ""


class Grader(Protocol):
    """Compares a target's text with a question's accepted answers.

    Attributes:
        name: What `Question.grader` calls it.
        version: Raised by one whenever the rule changes; recorded answers are then graded anew.
    """

    name: str
    version: int

    def extract(self, question: Question, text: str) -> str | None:
        """The answer within `text` in a normal form, None when there is none. It never looks at `question.answers`."""
        ...

    def grade(self, question: Question, text: str) -> Grade:
        """Grade one text."""
        ...


def unparsable(detail: str = "") -> Grade:
    """The grade of a text in which no answer could be found."""
    return Grade(0.0, "unparsable", None, detail)


def judged(right: bool, answer: str, detail: str = "") -> Grade:
    """The grade of an answer that was read and compared."""
    return Grade(float(right), "right" if right else "wrong", answer, detail)
