"""LLMRouter: scores of every model by question, and what a question's task and answer are by its text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.files import Files, fields, inside, pair, read_json, read_json_lines, records
from forethought.errors import DataError

SCORES = "data/dcrouter_preprocessed"
QUERIES = "data/example_data/query_data"
PRICES = "data/example_data/llm_candidates/default_llm.json"
FIELDS = ("task_name", "query", "ground_truth", "metric", "choices")


def convert(clone: Path) -> Files:
    """The scored questions of both splits, and the models' list prices as they are.

    Raises:
        DataError: A scored question that the query files do not have.
    """
    prices = inside(clone, PRICES)
    read_json(prices)
    known = known_queries(inside(clone, QUERIES))
    outcomes: list[dict[str, Any]] = []
    queries: list[dict[str, Any]] = []
    for split in ("train", "test"):
        path = inside(clone, f"{SCORES}/{split}.json")
        for number, record in enumerate(records(read_json(path), path)):
            text, scores = fields(record, ["question", "scores"], path)
            if key(text) not in known:
                raise DataError(f"{path}: question {number} is in none of the files of {QUERIES}: {text[:80]!r}")
            found = known[key(text)]
            names = {"query_id": f"llmrouter-{split}-{number}", "dataset": found["task_name"], "split": split}
            queries.append(names | query(text, record, found))
            outcomes += [names | {"model": model, "correct": float(score)} for model, score in scores.items()]
    return pair(outcomes, queries) | {prices.name: prices.read_bytes()}


def known_queries(folder: Path) -> dict[str, dict[str, Any]]:
    """Text -> the query's fields; of a text that occurs twice, the first."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for row in read_json_lines(path):
            values = fields(row, FIELDS, path)
            found.setdefault(key(row["query"]), dict(zip(FIELDS, values, strict=True)))
    return found


def query(text: str, record: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": text,
        "cluster_id": record.get("cluster_id"),
        "metric": found["metric"],
        "answer": as_text(found["ground_truth"]),
        "choices": as_text(found["choices"]),
    }


def as_text(value: object) -> str | None:
    """One type a column: what is no text in the source is written as Python prints it."""
    return None if value is None else str(value)


def key(text: str) -> str:
    """A text up to its spacing."""
    return " ".join(text.split())
