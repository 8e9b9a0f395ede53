"""A share of the questions that stands for all of them."""

from __future__ import annotations

import numpy as np

from forethought.core import Question
from forethought.errors import ConfigError, DataError


def spread(questions: list[Question], limit: int | None, seed: int) -> list[Question]:
    """So many questions drawn by a seed and spread over the groups, in their original order; None keeps all.

    Raises:
        ConfigError: A limit under 1.
        DataError: No questions.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be >= 1, got {limit}")
    if not questions:
        raise DataError("no questions; at least one is needed")
    if limit is None or limit >= len(questions):
        return questions
    order = np.random.default_rng(seed).permutation(len(questions))
    turns: dict[str, int] = {}
    ranked = []
    for index in order:
        turn = turns[questions[index].group] = turns.get(questions[index].group, 0) + 1
        ranked.append((turn, int(index)))
    return [questions[index] for index in sorted(index for _, index in sorted(ranked, key=lambda r: r[0])[:limit])]
