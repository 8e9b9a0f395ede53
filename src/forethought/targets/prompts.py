"""Few-shot prompts: solved examples of the question's own group, then the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from forethought.core import Question
from forethought.errors import DataError

Examples = Mapping[str, Sequence[Question]]


def few_shot_prompt(examples: Sequence[Question], question: Question) -> tuple[str, str]:
    """Write `Q: ... A: ...` for each example and `Q: ... A:` for the question.

    Returns:
        The part that every question of the group shares, and the question's own.
    """
    shared = "".join(f"Q: {example.text}\nA: {example.answers[0]}\n\n" for example in examples)
    return shared + "Q:", f" {question.text}\nA:"


def pick_examples(examples: Examples, group: str, shots: int) -> Sequence[Question]:
    """The first `shots` examples of a group.

    Raises:
        DataError: Fewer than `shots` examples, or one without an answer.
    """
    found = examples.get(group, ())[:shots]
    if len(found) < shots:
        raise DataError(f"group {group!r} has {len(found)} solved examples, the policy asks for {shots}")
    for example in found:
        if not example.answers:
            raise DataError(f"example {example.id!r} of group {group!r} has no answer")
    return found
