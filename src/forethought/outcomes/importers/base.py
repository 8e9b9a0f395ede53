"""What the importers share: reading a file of rows, and joining questions with outcomes on ids."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.table import Outcomes

_PICKLES = (".pkl", ".pickle")
_TRUTH = {"true": "1", "false": "0", "yes": "1", "no": "0"}


class Imported(NamedTuple):
    """A public table in the project's nouns; every outcome's question is among the questions."""

    questions: list[Question]
    outcomes: Outcomes


def read_rows(path: Path | str) -> pl.DataFrame:
    """Read CSV, JSON lines (both also gzipped) or Parquet, by the file's suffix.

    Raises:
        DataError: No such file, another suffix, or unreadable rows. A pickle is refused: it can
            run code when it is opened.
    """
    path = Path(path)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix in _PICKLES:
        raise DataError(
            f"{path} is a pickle, which can run code when opened. Convert it once where you trust it: "
            f"pandas.read_pickle({path.name!r}).to_parquet('table.parquet'), and read that"
        )
    try:
        if suffix == ".csv":
            return pl.read_csv(path, infer_schema_length=None, glob=False)
        if suffix in (".jsonl", ".ndjson"):
            return _read_json_lines(path)
        if suffix == ".parquet":
            return pl.read_parquet(path, glob=False)
    except (OSError, EOFError, UnicodeDecodeError, json.JSONDecodeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    raise DataError(f"{path} must be .csv, .jsonl (each also .gz) or .parquet")


def _read_json_lines(path: Path) -> pl.DataFrame:
    """Rows of JSON; NaN, which JSON forbids and Python writes, becomes null."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        rows = [json.loads(line, parse_constant=lambda _: None) for line in stream if line.strip()]
    return pl.from_dicts(rows, infer_schema_length=None)


def require(frame: pl.DataFrame, columns: Sequence[str], path: Path | str) -> None:
    """Raise DataError unless the frame has these columns."""
    if lacking := [name for name in columns if name not in frame.columns]:
        raise DataError(f"{path} lacks the columns {lacking}; it has {frame.columns}")


def success(frame: pl.DataFrame, column: str, path: Path | str) -> pl.Series:
    """A score column as fractions: numbers stay as they are, truth values become 0 or 1, blanks null.

    Raises:
        DataError: A value that is none of these.
    """
    text = frame[column].cast(pl.String).str.strip_chars().str.to_lowercase().replace({**_TRUTH, "": None})
    score = text.cast(pl.Float64, strict=False)
    lost = frame[column].filter(score.is_null() & text.is_not_null())
    if lost.len():
        raise DataError(f"{path}: column {column!r} must hold scores in [0, 1] or true and false, got {lost[0]!r}")
    return score


def namespaced(source: str, column: str) -> pl.Expr:
    """Ids of one source, so that tables of several sources join without clashes."""
    return pl.format("{}/{}", pl.lit(source), pl.col(column))


def unpivot(frame: pl.DataFrame, columns: Mapping[str, Mapping[str, str]], path: Path | str) -> pl.DataFrame:
    """Turn a wide table with one block of columns a target into outcome rows.

    Args:
        frame: Has `question_id`.
        columns: Target -> outcome field -> column of the frame.
        path: Named in errors.
    """
    blocks = [
        frame.select(
            "question_id",
            pl.lit(target).alias("target"),
            success(frame, fields["success"], path).alias("success"),
            *(pl.col(name).alias(field) for field, name in fields.items() if field != "success"),
        )
        for target, fields in columns.items()
    ]
    return pl.concat(blocks, how="diagonal_relaxed")


def join(questions: Sequence[Question], rows: pl.DataFrame, path: Path | str) -> Imported:
    """Check that ids match and make the table.

    Raises:
        DataError: An id that stands for two different questions, or an outcome of an unknown one.
    """
    unique: dict[str, Question] = {}
    for question in questions:
        if unique.setdefault(question.id, question) != question:
            raise DataError(f"{path}: id {question.id!r} stands for two different questions")
    outcomes = Outcomes(rows)
    if unknown := [name for name in outcomes.question_ids if name not in unique]:
        raise DataError(f"{path}: {len(unknown)} outcomes have no question, the first is {unknown[0]!r}")
    return Imported(list(unique.values()), outcomes)
