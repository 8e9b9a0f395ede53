"""EmbedLLM (arXiv 2410.02223): one row a question and model, with ids."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from forethought.core import Question
from forethought.outcomes.importers.base import Imported, join, namespaced, read_rows, require, success


def read_embedllm(path: Path | str) -> Imported:
    """Read `prompt_id, prompt, label` with `model_name` (or `model_id`) and, where present, `category`.

    Raises:
        DataError: Lacking columns, or a prompt id with two texts.
    """
    frame = read_rows(path)
    model = "model_name" if "model_name" in frame.columns else "model_id"
    require(frame, ["prompt_id", "prompt", "label", model], path)
    frame = frame.with_columns(
        question_id=namespaced("embedllm", "prompt_id"),
        group=pl.col("category").cast(pl.String).fill_null("") if "category" in frame.columns else pl.lit(""),
    )
    asked = frame.select("question_id", "prompt", "group").unique(maintain_order=True)
    questions = [Question.ask(text, id=identity, group=group) for identity, text, group in asked.iter_rows()]
    rows = frame.select("question_id", target=pl.col(model).cast(pl.String), success=success(frame, "label", path))
    return join(questions, rows, path)
