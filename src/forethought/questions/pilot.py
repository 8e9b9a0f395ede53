"""The pilot: which families are neither too easy nor too hard for a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forethought.core import Question
from forethought.questions.family import plain

EASIEST, HARDEST = 0.8, 0.2
"""A family is kept when its share of right answers lies between these, both allowed."""


@dataclass(frozen=True, slots=True)
class PilotRow:
    """How one family fared: number of questions asked and share answered rightly."""

    family: str
    n: int
    accuracy: float

    @property
    def kept(self) -> bool:
        """Whether the family is of use."""
        return HARDEST <= self.accuracy <= EASIEST


def run_pilot(questions: Sequence[Question], answer: Callable[[Sequence[Question]], Sequence[str]]) -> list[PilotRow]:
    """Ask, grade, and return one row per family, in order of first appearance.

    Args:
        questions: Drawn by `pilot_questions`; to be discarded afterwards.
        answer: Returns one text per question, in order.
    """
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for question, text in zip(questions, answer(questions), strict=True):
        right[question.group].append(mentions(text, question.answers))
    return [PilotRow(family, len(marks), sum(marks) / len(marks)) for family, marks in right.items()]


def mentions(text: str, answers: Sequence[str]) -> bool:
    """Whether the first line of a text holds an accepted answer as whole words."""
    line = f" {plain(text.strip().partition(chr(10))[0])} "
    return any(f" {plain(answer)} " in line for answer in answers)
