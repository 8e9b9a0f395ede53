"""The plain pair: `outcomes.csv.gz` beside `queries.jsonl.gz`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

import polars as pl

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.importers.base import Imported, join, namespaced, read_rows, require, success

FIELDS = {
    "input_tokens": ("input_tokens", "in_tokens"),
    "output_tokens": ("output_tokens", "out_tokens"),
    "cost_usd": ("cost_usd", "cost"),
    "seconds": ("seconds", "latency"),
    "answer": ("pred",),
    "sample": ("sample",),
}


def read_plain(
    folder: Path | str, source: str | None = None, repeats: Literal["error", "samples"] = "error"
) -> Imported:
    """Read a folder of the plain pair.

    `outcomes.csv.gz` has `query_id, model, correct` and, where known, `cost`, `latency`,
    `in_tokens`, `out_tokens`, `pred`, `sample`; counts of characters are no tokens and are left
    out. `queries.jsonl.gz` has `query_id, text` and, where known, `dataset`, `category`, `answer`,
    `options`, `difficulty`. Options become lettered lines below the text. Only questions with an
    outcome are kept.

    Args:
        folder: Holds both files.
        source: Namespace of the ids; the folder's name by default.
        repeats: Rows that repeat a question and a model without a `sample` column are an error,
            or `samples` numbered in file order.

    Raises:
        DataError: A lacking file or column, an outcome without its question, or repeated rows.
    """
    folder = Path(folder)
    source = folder.name if source is None else source
    outcomes = _read(folder / "outcomes.csv.gz", ["query_id", "model", "correct"])
    queries = _read(folder / "queries.jsonl.gz", ["query_id", "text"])
    queries = queries.join(outcomes.select("query_id").unique(), on="query_id", how="semi")
    questions = [_question(row, source) for row in queries.iter_rows(named=True)]
    known = {field: name for field, names in FIELDS.items() for name in names if name in outcomes.columns}
    rows = outcomes.select(
        question_id=namespaced(source, "query_id"),
        target=pl.col("model").cast(pl.String),
        success=success(outcomes, "correct", folder),
        **{field: pl.col(name) for field, name in known.items()},
    )
    if "sample" not in known:
        rows = rows.with_columns(sample=pl.int_range(pl.len()).over("question_id", "target"))
        if repeats == "error" and (again := rows.filter(pl.col("sample") > 0)).height:
            raise DataError(
                f"{folder}: {again.height} rows repeat a question and a model, the first is {again.row(0)[:2]}; "
                f"repeats='samples' reads them as samples"
            )
    return join(questions, rows, folder)


def _read(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    frame = read_rows(path)
    require(frame, columns, path)
    return frame.with_columns(pl.col("query_id").cast(pl.String))


def _question(row: Mapping[str, Any], source: str) -> Question:
    options = row.get("options") or ()
    lines = [row["text"], *(f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False))]
    answer = row.get("answer")
    return Question.ask(
        "\n".join(lines),
        id=f"{source}/{row['query_id']}",
        answers=() if answer is None else (str(answer),),
        group=row.get("category") or row.get("dataset") or "",
        grader="choice" if options else "text",
        difficulty=row.get("difficulty"),
    )
