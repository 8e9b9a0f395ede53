"""The table of outcomes: one row a question, target and sample; missing stays missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import final

import polars as pl

from forethought.artifacts import atomic_write
from forethought.core import Outcome
from forethought.errors import DataError

SCHEMA: Mapping[str, pl.DataType] = {
    "question_id": pl.String(),
    "target": pl.String(),
    "sample": pl.Int64(),
    "success": pl.Float64(),
    "unparsable": pl.Boolean(),
    "answer": pl.String(),
    "text": pl.String(),
    "input_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "cost_usd": pl.Float64(),
    "seconds": pl.Float64(),
}
KEY = ("question_id", "target", "sample")
_DEFAULTS = {"sample": 0, "unparsable": False}


@final
class Outcomes:
    """What targets achieved on questions, as a checked polars frame.

    Args:
        frame: Columns of `SCHEMA`; all but `question_id` and `target` may be absent.
            NaN becomes null.

    Raises:
        DataError: A column that is unknown or has an unusable type, an empty id, success outside
            [0, 1], or two rows of the same question, target and sample.
    """

    __slots__ = ("_frame",)

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = _checked(frame)

    @classmethod
    def from_rows(cls, rows: Iterable[Outcome]) -> Outcomes:
        """Build the table from outcomes one by one."""
        return cls(pl.DataFrame([astuple(row) for row in rows], schema=dict(SCHEMA), orient="row"))

    @classmethod
    def read(cls, path: Path | str) -> Outcomes:
        """Read a Parquet table.

        Raises:
            DataError: No such file, not Parquet, or not a table of outcomes.
        """
        try:
            return cls(pl.read_parquet(Path(path), glob=False))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(f"cannot read the outcomes table {path}: {error}") from error

    def write(self, path: Path | str) -> None:
        """Write the table as Parquet, whole or not at all.

        Raises:
            ArtifactError: The file cannot be written.
        """
        with atomic_write(Path(path)) as temporary:
            self._frame.write_parquet(temporary, compression="zstd")

    @property
    def frame(self) -> pl.DataFrame:
        """The rows, in the order they were given."""
        return self._frame

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets, by first appearance."""
        return tuple(self._frame["target"].unique(maintain_order=True))

    @property
    def question_ids(self) -> tuple[str, ...]:
        """Ids of the questions, by first appearance."""
        return tuple(self._frame["question_id"].unique(maintain_order=True))

    def filter(
        self, *, targets: Collection[str] | None = None, question_ids: Collection[str] | None = None
    ) -> Outcomes:
        """Keep the rows of these targets and these questions; None keeps all."""
        frame = self._frame
        if targets is not None:
            frame = frame.filter(pl.col("target").is_in(list(targets)))
        if question_ids is not None:
            frame = frame.filter(pl.col("question_id").is_in(list(question_ids)))
        return Outcomes(frame)

    def __len__(self) -> int:
        return self._frame.height

    def __iter__(self) -> Iterator[Outcome]:
        return (Outcome(*row) for row in self._frame.iter_rows())

    def __repr__(self) -> str:
        return f"Outcomes({len(self)} rows, {len(self.question_ids)} questions, {len(self.targets)} targets)"


def concat(tables: Iterable[Outcomes]) -> Outcomes:
    """Join tables below one another.

    Raises:
        DataError: The same question, target and sample stands in two of them.
    """
    frames = [table.frame for table in tables]
    return Outcomes(pl.concat(frames)) if frames else Outcomes.from_rows(())


def _checked(frame: pl.DataFrame) -> pl.DataFrame:
    frame = _conform(frame)
    _check_ids(frame)
    outside = frame.filter(~pl.col("success").is_between(0.0, 1.0))
    if outside.height:
        row = outside.row(0, named=True)
        raise DataError(
            f"success of question {row['question_id']!r} by {row['target']!r} must lie in [0, 1], got {row['success']}"
        )
    _check_unique(frame)
    return frame


def _conform(frame: pl.DataFrame) -> pl.DataFrame:
    """Give the frame exactly the schema's columns and types."""
    if unknown := sorted(set(frame.columns) - set(SCHEMA)):
        raise DataError(f"an outcomes table has no columns {unknown}; it has {list(SCHEMA)}")
    if lacking := [name for name in KEY[:2] if name not in frame.columns]:
        raise DataError(f"an outcomes table needs the columns {lacking}, found {frame.columns}")
    columns = [
        (pl.col(name) if name in frame.columns else pl.lit(_DEFAULTS.get(name))).cast(kind).alias(name)
        for name, kind in SCHEMA.items()
    ]
    try:
        frame = frame.select(columns)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"an outcomes table cannot hold these values: {error}") from error
    return frame.with_columns(
        pl.col(pl.Float64).fill_nan(None), *(pl.col(name).fill_null(value) for name, value in _DEFAULTS.items())
    )


def _check_ids(frame: pl.DataFrame) -> None:
    for name in KEY[:2]:
        empty = frame[name].is_null() | (frame[name] == "")
        if (place := empty.arg_max()) is not None and empty[place]:
            raise DataError(f"row {place} of the outcomes has an empty {name}; every row needs one")


def _check_unique(frame: pl.DataFrame) -> None:
    twice = frame.select(KEY).is_duplicated()
    if twice.any():
        question_id, target, sample = frame.filter(twice).select(KEY).row(0)
        raise DataError(
            f"two rows for question {question_id!r}, target {target!r}, sample {sample}; "
            f"{int(twice.sum())} rows share their key with another, none may"
        )
