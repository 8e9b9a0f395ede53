"""What a stopping rule would have drawn and returned on recorded samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forethought.errors import DataError
from forethought.metrics import FloatArray, IntArray
from forethought.voting.answer_prior import AnswerPrior
from forethought.voting.base import Poll, Same, StoppingRule
from forethought.voting.bayes_vote import plan
from forethought.voting.partitions import lattice
from forethought.voting.samples import Samples

CHUNK = 64
"""Questions planned at once: at a cap of 40 each takes 3.5 MB."""


@dataclass(frozen=True, eq=False)
class Replayed:
    """What happened to each of n questions in the order of their answers.

    Attributes:
        samples: Answers drawn, shape (n,).
        success: Of the returned answer, 0 where none was returned, shape (n,).
        output_tokens: Shape (n,).
        input_tokens: Prompt tokens without a prefix cache: every answer pays for the prompt. Shape (n,).
        prompt_tokens: Prompt tokens where the prefix is computed once, shape (n,).
        consensus: 1 where the rule was convinced, 0 where it stopped at its cap without being so, shape (n,).
    """

    samples: FloatArray
    success: FloatArray
    output_tokens: FloatArray
    input_tokens: FloatArray
    prompt_tokens: FloatArray
    consensus: FloatArray


def replay(rules: StoppingRule | Sequence[StoppingRule], samples: Samples, same: Same | None = None) -> Replayed:
    """Show a rule each question's answers in their order until it stops.

    Args:
        rules: One rule for all, or one a question.
        samples: Recorded answers.
        same: Which answers are one vote besides those of equal text.

    Raises:
        DataError: Fewer recorded answers than a rule's cap, or not one rule a question.
    """
    each = list(rules) if isinstance(rules, Sequence) else [rules] * len(samples)
    if len(each) != len(samples):
        raise DataError(f"{len(each)} rules for {len(samples)} questions; one each is needed")
    if short := next((rule for rule in each if rule.cap > samples.drawn), None):
        raise DataError(f"{short.name} may ask for {short.cap} answers, recorded are {samples.drawn} a question")
    rows = [_replay(rule, samples, row, same) for row, rule in enumerate(each)]
    drawn, success, consensus = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return _counted(samples, drawn, success, consensus)


def _replay(rule: StoppingRule, samples: Samples, row: int, same: Same | None) -> tuple[int, float, bool]:
    poll = Poll(rule, same)
    answers = samples.answers[row].tolist()
    for number, answer in enumerate(answers, start=1):
        verdict = poll.update(answer)
        if verdict.stop:
            right = 0.0 if verdict.answer is None else samples.success[row, answers.index(verdict.answer)]
            return number, float(right), verdict.consensus
    raise AssertionError(f"{rule.name} went on beyond its cap of {rule.cap}")


def _counted(samples: Samples, drawn: Any, success: FloatArray, consensus: FloatArray) -> Replayed:
    spent = samples.output_tokens.cumsum(axis=1)[np.arange(len(samples)), drawn.astype(int) - 1]
    return Replayed(drawn, success, spent, drawn * samples.input_tokens, samples.input_tokens, consensus)


@dataclass(frozen=True, eq=False)
class VotePaths:
    """The way of every question through the lattice of counts, for rules that read counts alone.

    Attributes:
        samples: The record.
        node: Node of `lattice(cap)` after each answer, shape (n, cap).
        right: Success of the leader there, shape (n, cap).
    """

    samples: Samples
    node: IntArray
    right: FloatArray

    @classmethod
    def of(cls, samples: Samples, cap: int) -> VotePaths:
        """Walk the first `cap` answers of every question.

        Raises:
            DataError: Fewer recorded answers than `cap`.
        """
        if cap > samples.drawn:
            raise DataError(f"a path of {cap} answers needs as many, recorded are {samples.drawn} a question")
        index = lattice(cap).index
        walks = [_walk(samples, row, cap) for row in range(len(samples))]
        node = np.array([[index[partition] for partition, _ in walk] for walk in walks], dtype=np.int64)
        return cls(samples, node, np.array([[right for _, right in walk] for walk in walks]))

    @property
    def cap(self) -> int:
        """Most answers."""
        return int(self.node.shape[1])

    def stopped(self, stops: np.ndarray) -> Replayed:
        """Replay a rule that stops after the answers where `stops` is True, shape (n, cap), or at the cap."""
        convinced = np.asarray(stops.any(axis=1))
        drawn = np.where(convinced, stops.argmax(axis=1), self.cap - 1)
        success = np.asarray(self.right[np.arange(len(drawn)), drawn])
        return _counted(self.samples, drawn + 1.0, success, convinced.astype(np.float64))

    def bayes(self, prior: AnswerPrior, price: float, weights: FloatArray | None = None) -> Replayed:
        """Replay `BayesVote`, each question under its own component weights of shape (n, J) where given."""
        rows = np.tile(prior.weights, (1, 1)) if weights is None else weights
        distinct, which = np.unique(rows, axis=0, return_inverse=True)
        stops = np.empty(self.node.shape, dtype=bool)
        for start in range(0, len(distinct), CHUNK):
            _, gain = plan(distinct[start : start + CHUNK], prior, price, self.cap)
            for offset, row in enumerate((gain <= 0) & np.isfinite(gain)):
                mine = np.flatnonzero(which == start + offset) if weights is not None else slice(None)
                # Nothing is settled before the first answer that could be read.
                stops[mine] = row[self.node[mine]] & (self.node[mine] > 0)
        return self.stopped(stops)


def _walk(samples: Samples, row: int, cap: int) -> list[tuple[tuple[int, ...], float]]:
    counts: dict[str, int] = {}
    grade: dict[str, float] = {}
    walk = []
    for answer, success in zip(samples.answers[row, :cap], samples.success[row], strict=False):
        if answer is not None:
            counts[answer] = counts.get(answer, 0) + 1
            grade.setdefault(answer, float(success))
        leader = max(counts, key=lambda known: counts[known], default=None)
        right = 0.0 if leader is None else grade[leader]
        walk.append((tuple(sorted(counts.values(), reverse=True)), right))
    return walk
