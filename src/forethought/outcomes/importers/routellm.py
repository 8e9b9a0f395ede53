"""RouteLLM (arXiv 2406.18665): CSV with a prompt and one truth column a model."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.importers.base import Imported, join, namespaced, read_rows, require, unpivot

RESPONSE = "_response"


def read_routellm(path: Path | str) -> Imported:
    """Read one of their response files, or every CSV of a folder (the 57 of MMLU).

    Columns `prompt`, for each model `<model>` (right or wrong) and where present
    `<model>_response`. The rows have no ids: file name and row number make them.

    Raises:
        DataError: No CSV, a lacking prompt column, or no model.
    """
    path = Path(path)
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path} holds no CSV file")
    tables = [_read_file(file) for file in files]
    questions = [question for table, _ in tables for question in table]
    return join(questions, pl.concat([rows for _, rows in tables], how="diagonal_relaxed"), path)


def _read_file(file: Path) -> tuple[list[Question], pl.DataFrame]:
    frame = read_rows(file)
    require(frame, ["prompt"], file)
    models = [
        name
        for name in frame.columns
        if name not in ("prompt", "") and not (name.endswith(RESPONSE) and name.removesuffix(RESPONSE) in frame.columns)
    ]
    if not models:
        raise DataError(f"{file} has no column with a model's results; it has {frame.columns}")
    group = file.stem.removesuffix("_responses")
    frame = frame.with_row_index("row").with_columns(question_id=namespaced(f"routellm/{group}", "row"))
    questions = [
        Question.ask(text, id=identity, group=group)
        for identity, text in frame.select("question_id", "prompt").iter_rows()
    ]
    columns = {
        model: {"success": model} | ({"text": model + RESPONSE} if model + RESPONSE in frame.columns else {})
        for model in models
    }
    return questions, unpivot(frame, columns, file)
