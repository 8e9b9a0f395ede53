"""Solved questions by group, and the group that a new text looks most like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from forethought.core import Question
from forethought.outcomes.splits import normalised_text


def by_group(questions: Sequence[Question]) -> dict[str, list[Question]]:
    """Questions by group, in order."""
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.group, []).append(question)
    return groups


def closest_group(text: str, examples: Mapping[str, Sequence[Question]]) -> str:
    """The group whose solved questions share most of their words with a text; the first of equals.

    Few-shot targets were recorded with examples of the question's own family, so a live question
    without one borrows those that look most like it.
    """
    asked = set(normalised_text(text).split())

    def likeness(group: str) -> float:
        solved = [set(normalised_text(question.text).split()) for question in examples[group]]
        return max((len(asked & words) / len(asked | words) for words in solved if words), default=0.0)

    return max(examples, key=likeness, default="")
