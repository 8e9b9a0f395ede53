"""Ask a model how sure it is, for the baseline that trusts its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from forethought.core import Message, Outcome, Question
from forethought.outcomes import Outcomes
from forethought.probes import confidence_prompt

if TYPE_CHECKING:
    from forethought.targets import Responder

SLICE = 256


def ask_confidence(
    responder: Responder, questions: Sequence[Question], report: Callable[[int, int], object] = lambda done, total: None
) -> Outcomes:
    """Record what a target says when asked how likely it is to be right; nothing is graded.

    Args:
        responder: The target.
        questions: What it would be asked.
        report: Progress callback.
    """
    rows: list[Outcome] = []
    for start in range(0, len(questions), SLICE):
        part = [_about(question) for question in questions[start : start + SLICE]]
        for question, response in zip(part, responder.respond(part, [0] * len(part)), strict=True):
            rows.append(
                Outcome(
                    question_id=question.id,
                    target=responder.target.name,
                    text=response.text,
                    input_tokens=response.input_tokens,
                    output_tokens=response.output_tokens,
                    seconds=response.seconds,
                )
            )
        report(len(rows), len(questions))
    return Outcomes.from_rows(rows)


def _about(question: Question) -> Question:
    return replace(question, messages=(Message("user", confidence_prompt(question.text)),))
