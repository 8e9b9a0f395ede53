"""RouterBench (arXiv 2403.12031): one wide row a question, three columns a model."""

from __future__ import annotations

import ast
from pathlib import Path

import polars as pl

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.importers.base import Imported, join, namespaced, read_rows, require, unpivot

META = ("sample_id", "prompt", "eval_name", "oracle_model_to_route_to")
FIELDS = {"model_response": "text", "total_cost": "cost_usd"}


def read_routerbench(path: Path | str) -> Imported:
    """Read their table saved as Parquet, CSV or JSON lines.

    Columns `sample_id, prompt, eval_name`, and for each model its score `<model>`, and where
    present `<model>|total_cost` (USD) and `<model>|model_response`. Other columns with a `|` in
    their name or a type that is no score are ignored.

    Raises:
        DataError: The original pickle (the message says how to convert it), lacking columns, no model.
    """
    frame = read_rows(path)
    require(frame, META[:3], path)
    frame = frame.with_columns(question_id=namespaced("routerbench", "sample_id"))
    frame = frame.with_columns(_unlisted(name) for name in frame.columns if name == "prompt" or "|model_resp" in name)
    columns = {model: _fields(frame, model) for model in _models(frame)}
    if not columns:
        raise DataError(f"{path} has no column with a model's scores; it has {frame.columns}")
    questions = [
        Question.ask(text, id=identity, group=group or "")
        for identity, text, group in frame.select("question_id", "prompt", "eval_name").iter_rows()
    ]
    return join(questions, unpivot(frame, columns, path), path)


def _models(frame: pl.DataFrame) -> list[str]:
    return [
        name
        for name, kind in frame.schema.items()
        if name not in (*META, "question_id") and "|" not in name and (kind.is_numeric() or kind == pl.Boolean)
    ]


def _fields(frame: pl.DataFrame, model: str) -> dict[str, str]:
    optional = {field: f"{model}|{suffix}" for suffix, field in FIELDS.items()}
    return {"success": model, **{field: name for field, name in optional.items() if name in frame.columns}}


def _unlisted(name: str) -> pl.Expr:
    return pl.col(name).map_elements(_text, return_dtype=pl.String)


def _text(value: object) -> str:
    """Undo their one-element lists, also when a CSV holds the list's printed form."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return str(value)
    parts = value if isinstance(value, (list, pl.Series)) else [value]
    return "\n\n".join(str(part) for part in parts)
