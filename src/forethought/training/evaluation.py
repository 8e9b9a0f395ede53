"""What a policy that allocates votes is worth: beside its own single answers and its own votes, at equal cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forethought.core import Question
from forethought.errors import ConfigError, DataError
from forethought.metrics import FloatArray, IntArray, Interval, paired_bootstrap
from forethought.training.trace_writer import TraceWriter, WrittenTrace


@dataclass(frozen=True, eq=False)
class Spending:
    """What was right and what it cost, question by question.

    Attributes:
        success: In [0, 1], shape (n,).
        voted: Share of the question's traces that vote, shape (n,).
        trials: Mean of its traces, shape (n,).
        tokens: Likewise, tags included, shape (n,).
    """

    success: FloatArray
    voted: FloatArray
    trials: FloatArray
    tokens: FloatArray

    @classmethod
    def of(cls, traces: Sequence[WrittenTrace], samples: int) -> Spending:
        """From traces in order of questions, `samples` in a row of each."""

        def mean(values: Sequence[float]) -> FloatArray:
            return np.asarray(np.asarray(values, dtype=np.float64).reshape(-1, samples).mean(axis=1))

        return cls(
            mean([trace.success for trace in traces]),
            mean([trace.voted for trace in traces]),
            mean([len(trace.trials) for trace in traces]),
            mean([len(trace.tokens) for trace in traces]),
        )


@dataclass(frozen=True, eq=False)
class BudgetTable:
    """A policy left to choose, forced to answer once, and forced to vote, on the same questions.

    Attributes:
        levels: Difficulty of each question, NaN where it has none, shape (n,).
        free: As it chooses.
        once: Forced to one trial.
        vote: Forced to vote; independent samples.
    """

    levels: FloatArray
    free: Spending
    once: Spending
    vote: Spending

    def margin(self, rows: IntArray) -> float:
        """Mean margin of voted questions less that of unvoted ones: whether votes go where they help.

        The margin is measured on the forced traces, which the choice has not seen.
        """
        margin, voted = self.vote.success[rows] - self.once.success[rows], self.free.voted[rows]
        if not 0 < voted.sum() < len(rows):
            return float("nan")
        return float(np.average(margin, weights=voted) - np.average(margin, weights=1 - voted))

    def above_line(self, rows: IntArray, unit: str = "trials") -> float:
        """Accuracy over the line from forced-once to forced-vote of the same policy, at the cost that was spent.

        The line is what tossing a coin for each question attains: what is above it is allocation's own worth.

        Args:
            rows: Questions, repeats allowed.
            unit: `trials` or `tokens`.
        """
        spent, low, high = (getattr(arm, unit)[rows].mean() for arm in (self.free, self.once, self.vote))
        if high <= low:
            return float("nan")
        share = (spent - low) / (high - low)
        least, most = self.once.success[rows].mean(), self.vote.success[rows].mean()
        return float(self.free.success[rows].mean() - (least + share * (most - least)))

    def interval(self, name: str, *, draws: int = 2000, seed: int = 0) -> Interval:
        """`margin`, or `above_line` in `trials` or `tokens`, with a bootstrap interval over questions.

        Args:
            name: `margin`, `above_line` or `above_line_tokens`.
            draws: Resamples.
            seed: Of them.

        Raises:
            ConfigError: Another name.
        """
        statistics = {
            "margin": self.margin,
            "above_line": self.above_line,
            "above_line_tokens": lambda rows: self.above_line(rows, "tokens"),
        }
        if name not in statistics:
            raise ConfigError(f"name must be one of {', '.join(statistics)}, got {name!r}")
        found = paired_bootstrap(statistics[name], len(self.levels), draws=draws, seed=seed)
        assert isinstance(found, Interval), "one statistic, one interval"
        return found

    def by_level(self) -> dict[float, dict[str, float]]:
        """Level -> questions, share of votes, accuracies as chosen, once and by vote, and trials."""
        found = {}
        for level in np.unique(self.levels[~np.isnan(self.levels)]):
            rows = self.levels == level
            found[float(level)] = {
                "questions": float(rows.sum()),
                "share": float(self.free.voted[rows].mean()),
                "accuracy": float(self.free.success[rows].mean()),
                "once": float(self.once.success[rows].mean()),
                "vote": float(self.vote.success[rows].mean()),
                "trials": float(self.free.trials[rows].mean()),
            }
        return found


def evaluate_budget(writer: TraceWriter, questions: Sequence[Question], *, samples: int = 1) -> BudgetTable:
    """Write every question's traces three ways.

    Args:
        writer: The policy and how it is sampled.
        questions: Not those it was trained on.
        samples: Traces of each question and way.

    Raises:
        DataError: No question.
    """
    if not questions:
        raise DataError("there is no question to evaluate on")
    asked = [question for question in questions for _ in range(samples)]
    # Streams of their own: what is forced must not share its draws with what is chosen.
    ways: list[tuple[int, bool | None]] = [(0, None), (1, False), (2, True)]
    free, once, vote = (
        Spending.of(writer.write(asked, [way * samples + i % samples for i in range(len(asked))], vote=choice), samples)
        for way, choice in ways
    )
    levels = [float("nan") if question.difficulty is None else float(question.difficulty) for question in questions]
    return BudgetTable(np.asarray(levels), free, once, vote)
