"""From outcomes to labels: what counts as success, as a questions x targets matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import gammaln

from forethought.core import Prices, Question
from forethought.errors import ConfigError, DataError
from forethought.outcomes.table import Outcomes

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Success of every target on every question.

    Attributes:
        question_ids: Rows.
        targets: Columns.
        success: `(n, K)` in [0, 1]; NaN where no outcome was recorded.
        trials: `(n, K)` Bernoulli trials behind each cell, 0 where missing: a success rate
            over 40 samples weighs 40 in a binomial likelihood.
    """

    question_ids: tuple[str, ...]
    targets: tuple[str, ...]
    success: FloatArray
    trials: FloatArray


def greedy(
    outcomes: Outcomes, question_ids: Sequence[str] | None = None, targets: Sequence[str] | None = None
) -> Labels:
    """Success of the first sample: the only one of a greedy target.

    Args:
        outcomes: The table.
        question_ids: Rows wanted, in this order; all by default.
        targets: Columns wanted, in this order; all by default.

    Raises:
        DataError: An id or a target is asked for twice.
    """
    grid = _Grid.of(outcomes, question_ids, targets)
    first = outcomes.frame.filter(pl.col("sample") == 0, pl.col("success").is_not_null())
    return grid.labels(first.select("question_id", "target", "success", trials=pl.lit(1.0)))


def success_rate(
    outcomes: Outcomes, question_ids: Sequence[str] | None = None, targets: Sequence[str] | None = None
) -> Labels:
    """Mean success over the samples of each question and target; `trials` counts them.

    Missing samples are left out of both.
    """
    grid = _Grid.of(outcomes, question_ids, targets)
    observed = outcomes.frame.filter(pl.col("success").is_not_null())
    return grid.labels(
        observed.group_by("question_id", "target").agg(pl.col("success").mean(), trials=pl.len().cast(pl.Float64))
    )


def majority(
    outcomes: Outcomes, k: int, question_ids: Sequence[str] | None = None, targets: Sequence[str] | None = None
) -> Labels:
    """Success of the most frequent answer among the first k graded samples.

    A tie goes to the answer given first. Unparsable samples cast no vote; when all are, the
    majority is wrong. Fewer than k graded samples make the cell missing.

    Raises:
        ConfigError: k < 1.
    """
    grid, first = _first_k(outcomes, k, question_ids, targets)
    cell = ["question_id", "target"]
    whole = first.group_by(cell).agg(graded=pl.len()).filter(pl.col("graded") == k)
    votes = (
        first.filter(pl.col("answer").is_not_null(), ~pl.col("unparsable"))
        .group_by(*cell, "answer", maintain_order=True)
        .agg(votes=pl.len(), success=pl.col("success").first(), since=pl.col("sample").first())
        .sort("votes", "since", descending=[True, False], maintain_order=True)
        .unique(cell, keep="first", maintain_order=True)
    )
    winners = whole.join(votes, on=cell, how="left").with_columns(pl.col("success").fill_null(0.0))
    return grid.labels(winners.select(*cell, "success", trials=pl.lit(1.0)))


def pass_at_k(
    outcomes: Outcomes, k: int, question_ids: Sequence[str] | None = None, targets: Sequence[str] | None = None
) -> Labels:
    """Probability that at least one of k samples is right, `1 - C(n-c, k) / C(n, k)`.

    The unbiased estimator of Chen et al. 2021 (arXiv 2107.03374, section 2.1) from all n graded
    samples, c of them right. Fewer than k graded samples make the cell missing.

    Raises:
        ConfigError: k < 1.
        DataError: A fractional success; pass@k counts right answers.
    """
    _check_k(k)
    rate = success_rate(outcomes, question_ids, targets)
    asked = outcomes.filter(targets=rate.targets, question_ids=rate.question_ids)
    observed = asked.frame["success"].drop_nulls()
    fractional = observed.filter(~observed.is_in([0.0, 1.0]))
    if fractional.len():
        raise DataError(f"pass@k needs success of 0 or 1, got {fractional[0]} ({fractional.len()} fractional rows)")
    n = rate.trials
    wrong = np.round(n * (1 - np.nan_to_num(rate.success)))
    none_right = np.where(wrong >= k, np.exp(_log_choose(wrong, k) - _log_choose(n, k)), 0.0)
    enough = n >= k
    return Labels(rate.question_ids, rate.targets, np.where(enough, 1 - none_right, np.nan), np.where(enough, 1.0, 0.0))


def mean_tokens(
    outcomes: Outcomes, question_ids: Sequence[str] | None = None, targets: Sequence[str] | None = None
) -> tuple[FloatArray, FloatArray]:
    """Mean input and output tokens a sample, each `(n, K)`; NaN where none were recorded."""
    grid = _Grid.of(outcomes, question_ids, targets)
    return grid.mean(outcomes, "input_tokens"), grid.mean(outcomes, "output_tokens")


def costs(
    outcomes: Outcomes,
    prices: Mapping[str, Prices],
    question_ids: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
) -> FloatArray:
    """Mean cost of a sample in USD, `(n, K)`: tokens at today's prices.

    A target without a price keeps its recorded cost; NaN where neither is known.
    """
    grid = _Grid.of(outcomes, question_ids, targets)
    cost = grid.mean(outcomes, "cost_usd")
    tokens = [grid.mean(outcomes, name) for name in ("input_tokens", "output_tokens")]
    for column, target in enumerate(grid.targets):
        if price := prices.get(target):
            rates = (price.input, price.output)
            # A free side needs no token count: 0 * NaN would hide the other side's cost.
            parts = [rate * count[:, column] for rate, count in zip(rates, tokens, strict=True) if rate]
            cost[:, column] = sum(parts, np.zeros(len(grid.question_ids))) / 1e6
    return cost


def human_difficulty(questions: Sequence[Question]) -> FloatArray:
    """Human difficulty rating of each question, `(n,)`; NaN where none was recorded."""
    return np.array([np.nan if q.difficulty is None else q.difficulty for q in questions], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Grid:
    """The cells asked for."""

    question_ids: tuple[str, ...]
    targets: tuple[str, ...]

    @classmethod
    def of(cls, outcomes: Outcomes, question_ids: Sequence[str] | None, targets: Sequence[str] | None) -> _Grid:
        grid = cls(
            outcomes.question_ids if question_ids is None else tuple(question_ids),
            outcomes.targets if targets is None else tuple(targets),
        )
        for name, keys in (("question id", grid.question_ids), ("target", grid.targets)):
            if len(set(keys)) < len(keys):
                raise DataError(f"{name} {_repeated(keys)!r} is asked for twice; rows and columns must be distinct")
        return grid

    def place(self, cells: pl.DataFrame, value: str, missing: float) -> FloatArray:
        """Lay one column of a (question, target) frame out as `(n, K)`."""
        rows = pl.DataFrame({"question_id": self.question_ids}, schema={"question_id": pl.String}).with_row_index("row")
        columns = pl.DataFrame({"target": self.targets}, schema={"target": pl.String}).with_row_index("column")
        placed = cells.join(rows, on="question_id").join(columns, on="target")
        matrix = np.full((len(self.question_ids), len(self.targets)), missing, dtype=np.float64)
        matrix[placed["row"].to_numpy(), placed["column"].to_numpy()] = placed[value].to_numpy()
        return matrix

    def labels(self, cells: pl.DataFrame) -> Labels:
        return Labels(
            self.question_ids,
            self.targets,
            self.place(cells, "success", np.nan),
            self.place(cells, "trials", 0.0),
        )

    def mean(self, outcomes: Outcomes, column: str) -> FloatArray:
        observed = outcomes.frame.filter(pl.col(column).is_not_null())
        return self.place(observed.group_by("question_id", "target").agg(pl.col(column).mean()), column, np.nan)


def _first_k(
    outcomes: Outcomes, k: int, question_ids: Sequence[str] | None, targets: Sequence[str] | None
) -> tuple[_Grid, pl.DataFrame]:
    """The first k graded samples of every cell, in sample order."""
    _check_k(k)
    graded = outcomes.frame.filter(pl.col("success").is_not_null()).sort("sample", maintain_order=True)
    rank = pl.int_range(pl.len()).over("question_id", "target")
    return _Grid.of(outcomes, question_ids, targets), graded.filter(rank < k)


def _check_k(k: int) -> None:
    if k < 1:
        raise ConfigError(f"k must be >= 1 samples, got {k}")


def _log_choose(n: FloatArray, k: int) -> FloatArray:
    """Log of the binomial coefficient; callers mask cells with n < k."""
    n = np.maximum(n, k)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)


def _repeated(keys: Sequence[str]) -> str:
    seen: set[str] = set()
    return next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
