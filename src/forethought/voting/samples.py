"""Recorded samples: several answers of one target to each question, with what each cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from forethought.errors import DataError
from forethought.metrics import FloatArray, IntArray
from forethought.voting.base import Same

if TYPE_CHECKING:
    from forethought.outcomes import Outcomes


@dataclass(frozen=True, eq=False)
class Samples:
    """k answers of one target to each of n questions, in sample order.

    Attributes:
        question_ids: The n questions.
        target: Whose answers they are.
        answers: Normal form of each, None where none could be read, shape (n, k).
        success: In [0, 1], shape (n, k).
        input_tokens: Prompt tokens of one answer, 0 where none were recorded, shape (n,).
        output_tokens: Tokens generated, 0 where none were recorded, shape (n, k).
    """

    question_ids: tuple[str, ...]
    target: str
    answers: np.ndarray
    success: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray

    @classmethod
    def read(cls, outcomes: Outcomes, target: str | None = None) -> Self:
        """Take one target's samples out of a table of outcomes.

        Args:
            outcomes: Rows with answers and grades.
            target: Whose; may be left out where the table has one target.

        Raises:
            DataError: Several targets and none named, an unknown one, questions with different numbers
                of samples, or a sample without a grade, or with a grade and no answer.
        """
        name = _only(outcomes, target)
        frame = outcomes.filter(targets=[name]).frame.sort("sample", maintain_order=True)
        ids = tuple(frame["question_id"].unique(maintain_order=True))
        sizes = Counter(frame["question_id"].to_list())
        if len(set(sizes.values())) != 1:
            few = min(sizes, key=lambda id: sizes[id])
            raise DataError(
                f"every question needs as many samples: {few!r} has {sizes[few]}, another {max(sizes.values())}"
            )
        if frame["success"].null_count():
            raise DataError(f"{frame['success'].null_count()} samples of {name!r} have no grade; replay needs one each")
        place = {id: i for i, id in enumerate(ids)}
        order = np.argsort([place[id] for id in frame["question_id"]], kind="stable")
        shape = len(ids), sizes[ids[0]]

        def column(key: str) -> FloatArray:
            return np.asarray(frame[key].cast(float).to_numpy()[order].reshape(shape))

        texts, unparsable = frame["answer"].to_list(), frame["unparsable"].to_list()
        if lacking := sum(text is None and not failed for text, failed in zip(texts, unparsable, strict=True)):
            raise DataError(f"{lacking} of {len(texts)} samples of {name!r} have a grade and no answer to vote by")
        readable = (bool(text and text.strip()) and not failed for text, failed in zip(texts, unparsable, strict=True))
        read = np.array([text if fit else None for text, fit in zip(texts, readable, strict=True)], dtype=object)
        return cls(
            question_ids=ids,
            target=name,
            answers=read[order].reshape(shape),
            success=column("success"),
            input_tokens=np.nan_to_num(column("input_tokens")[:, 0]),
            output_tokens=np.nan_to_num(column("output_tokens")),
        )

    def __len__(self) -> int:
        return len(self.question_ids)

    @property
    def drawn(self) -> int:
        """Answers a question."""
        return int(self.answers.shape[1])

    def take(self, rows: IntArray) -> Samples:
        """Some of the questions."""
        return Samples(
            tuple(self.question_ids[row] for row in rows),
            self.target,
            self.answers[rows],
            self.success[rows],
            self.input_tokens[rows],
            self.output_tokens[rows],
        )

    def shuffled(self, seed: int) -> Samples:
        """The same answers, each question's in an order of its own: under i.i.d. answers as good a record."""
        order = np.random.default_rng(seed).permuted(np.tile(np.arange(self.drawn), (len(self), 1)), axis=1)

        def along(table: np.ndarray) -> np.ndarray:
            return np.take_along_axis(table, order, axis=1)

        tokens = along(self.output_tokens)
        return Samples(
            self.question_ids, self.target, along(self.answers), along(self.success), self.input_tokens, tokens
        )

    def merged(self, same: Sequence[Same | None]) -> Samples:
        """The same record with answers that are one vote written alike, as the first of them is.

        Args:
            same: Of each question, which answers are one vote; None where only equal texts are.
        """
        answers = self.answers.copy()
        for row, equal in enumerate(same):
            if equal is None:
                continue
            first: dict[str, str] = {}
            for answer in dict.fromkeys(answer for answer in answers[row] if answer is not None):
                known = (one for one in dict.fromkeys(first.values()) if equal(one, answer))
                first[answer] = next(known, answer)
            answers[row] = [first.get(answer) for answer in answers[row]]
        return replace(self, answers=answers)

    def vote_counts(self) -> tuple[list[int], list[list[int]]]:
        """Votes of the most frequent right answer, and of every other answer, a question.

        A right answer in other words stands among the others, since votes do not know that it is right too.
        """
        right, wrong = [], []
        for answers, success in zip(self.answers, self.success, strict=True):
            counts = Counter(answer for answer in answers if answer is not None)
            correct = {answer for answer, grade in zip(answers, success, strict=True) if grade >= 0.5}
            best = max((answer for answer in counts if answer in correct), key=lambda a: counts[a], default=None)
            right.append(counts[best] if best is not None else 0)
            wrong.append([count for answer, count in counts.items() if answer != best])
        return right, wrong

    def success_rates(self) -> FloatArray:
        """Share of right answers, shape (n,): the label of the first head."""
        return np.asarray(self.success.mean(axis=1))

    def concentrations(self) -> FloatArray:
        """Chance that two answers are the same vote, shape (n,): the label of the second head, needing no grades.

        The unbiased estimate of the sum of squared shares from counts c: `sum c (c - 1) / (k (k - 1))`.
        An answer that could not be read agrees with none.

        Raises:
            DataError: One sample a question.
        """
        pairs = self.drawn * (self.drawn - 1)
        if not pairs:
            raise DataError("the concentration of answers needs at least 2 samples a question, got 1")
        counts = (Counter(answer for answer in row if answer is not None) for row in self.answers)
        return np.array([sum(c * (c - 1) for c in count.values()) / pairs for count in counts])


def _only(outcomes: Outcomes, target: str | None) -> str:
    names = outcomes.targets
    if not names:
        raise DataError("the table has no rows; replay needs recorded samples")
    if target is None and len(names) > 1:
        raise DataError(f"the table has samples of {', '.join(names)}; name one of them")
    if target is not None and target not in names:
        raise DataError(f"no samples of {target!r}; the table has {', '.join(names)}")
    return target or names[0]
