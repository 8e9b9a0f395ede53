"""NVIDIA's LLM router (arXiv 2603.20895): one CSV row a question and model, keyed by the question's text."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import polars as pl

from forethought.core import Question, content_hash
from forethought.errors import DataError
from forethought.outcomes.importers.base import Imported, join, read_rows, require, success


def read_nvidia(path: Path | str) -> Imported:
    """Read `question,model,isCorrect[,output_tokens]`; other columns are ignored.

    The text is the file's only key: its hash, up to Unicode form and spacing, is the id.

    Raises:
        DataError: Lacking columns, an empty question, or two rows of one question and model,
            which the file gives no way to tell apart.
    """
    frame = read_rows(path)
    require(frame, ["question", "model", "isCorrect"], path)
    blank = frame["question"].fill_null("").str.strip_chars() == ""
    if blank.any():
        raise DataError(f"{path}: row {blank.arg_max()} has an empty question")
    ids = {text: f"nvidia/{content_hash(_normalised(text))[:16]}" for text in frame["question"].unique()}
    tokens = pl.col("output_tokens") if "output_tokens" in frame.columns else pl.lit(None)
    rows = frame.select(
        question_id=pl.col("question").replace_strict(ids, return_dtype=pl.String),
        target=pl.col("model").cast(pl.String),
        success=success(frame, "isCorrect", path),
        output_tokens=tokens,
    )
    first: dict[str, str] = {}
    for text in frame["question"]:
        first.setdefault(ids[text], text)
    return join([Question.ask(text, id=identity) for identity, text in first.items()], rows, path)


def _normalised(text: str) -> str:
    """Signs and case stay: 2 + 3 is another question than 2 - 3."""
    return " ".join(unicodedata.normalize("NFKC", text).split())
