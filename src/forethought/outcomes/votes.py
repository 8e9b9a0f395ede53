"""From recorded samples to the outcome of voting over them, without sampling again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from forethought.core import Outcome
from forethought.errors import DataError
from forethought.outcomes.table import Outcomes

Number = TypeVar("Number", int, float)


def vote_outcomes(outcomes: Outcomes, sampled: str, target: str, votes: int) -> Outcomes:
    """What a voting target achieves, from the first samples of the target it votes over.

    The most frequent extracted answer wins, the earliest on a tie; an unparsable sample is never
    a vote, and without any vote the outcome is unparsable. Tokens, cost and seconds are summed
    over the samples drawn: every vote pays for its prompt.

    Args:
        outcomes: Table with at least `votes` samples of `sampled` for each question.
        sampled: Name of the target that was sampled.
        target: Name of the voting target.
        votes: Samples per vote.

    Raises:
        DataError: A question has fewer than `votes` samples.
    """
    return Outcomes.from_rows(_votes(outcomes.filter(targets=[sampled]), target, votes))


def _votes(samples: Outcomes, target: str, votes: int) -> Iterable[Outcome]:
    by_question: dict[str, list[Outcome]] = {}
    for row in samples:
        if row.sample < votes:
            by_question.setdefault(row.question_id, []).append(row)
    for question_id, rows in by_question.items():
        if len(rows) < votes:
            raise DataError(f"question {question_id!r} has {len(rows)} samples to vote over; {votes} are needed")
        yield _vote(target, sorted(rows, key=lambda row: row.sample))


def _vote(target: str, rows: Sequence[Outcome]) -> Outcome:
    cast = [row for row in rows if row.answer is not None and not row.unparsable]
    counts = Counter(row.answer for row in cast)
    # max keeps the first of equals, and the rows are in sample order.
    winner = max(cast, key=lambda row: counts[row.answer], default=None)
    missing = any(row.success is None for row in rows)
    return Outcome(
        question_id=rows[0].question_id,
        target=target,
        success=None if missing else (0.0 if winner is None else winner.success),
        unparsable=winner is None,
        answer=None if winner is None else winner.answer,
        input_tokens=_total(row.input_tokens for row in rows),
        output_tokens=_total(row.output_tokens for row in rows),
        cost_usd=_total(row.cost_usd for row in rows),
        seconds=_total(row.seconds for row in rows),
    )


def _total(values: Iterable[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    return sum(known[1:], start=known[0]) if known else None
