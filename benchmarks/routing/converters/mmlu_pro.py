"""MMLU-Pro: a zip archive a model, with a JSON list of its answers, the authors' reading of each included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from converters.files import Files, fields, inside, pair, read_archive, records
from forethought.errors import DataError

FOLDER = "eval_results"
PREFIX, SUFFIX = "model_outputs_", "_5shots.zip"
MODELS = (
    "DeepSeek-Coder-V2",
    "Llama-2-13b-hf",
    "Llama-2-70b-hf",
    "Llama-2-7b-hf",
    "Meta-Llama-3-70B",
    "Meta-Llama-3-8B",
    "Meta-Llama-3_1-70B-Instruct",
    "Meta-Llama-3_1-70B",
    "Meta-Llama-3_1-8B-Instruct",
    "Meta-Llama-3_1-8B",
    "Mistral-7B-Instruct-v0.1",
    "Mistral-7B-Instruct-v0.2",
    "Mistral-7B-v0.1",
    "Mistral-7B-v0.2-hf",
    "Mixtral-8x7B-Instruct-v0.1",
    "Mixtral-8x7B-v0.1",
    "Phi-3-mini-4k-instruct",
    "Qwen1.5-110B",
    "Qwen1.5-72B-Chat",
    "Qwen1.5-7B-Chat",
    "Yi-34B",
    "Yi-6B",
    "Yi-6b-Chat",
    "c4ai-command-r-v01",
    "gemini-1.5-flash-002",
    "gemini-1.5-pro-002",
    "gemma-7b",
    "jamba-1.5-large",
    "mathstral-7B",
)
"""The benchmark's pool; some of the repository's other archives number their questions in another way."""

ANSWERED = ("model_outputs", "response", "generated_text")
"""Names that the authors' scripts gave the generated text over time."""


def convert(clone: Path) -> Files:
    """Right is the letter that the authors read; no letter is wrong, where their own score then guesses at random.

    Raises:
        DataError: An archive is missing or is not what the authors' scripts write.
    """
    folder = inside(clone, FOLDER)
    paths = {model: folder / f"{PREFIX}{model}{SUFFIX}" for model in MODELS}
    if lacking := [model for model, path in paths.items() if not path.is_file()]:
        raise DataError(f"{folder} lacks the archives of {lacking}; all of the {len(MODELS)} models are needed")
    outcomes: list[dict[str, Any]] = []
    queries: dict[int, dict[str, Any]] = {}
    for model, path in paths.items():
        for identity, record in first_answers(path).items():
            outcomes.append(outcome(identity, model, record, path))
            if identity not in queries:
                queries[identity] = query(identity, record, path)
    return pair(outcomes, list(queries.values()))


def first_answers(path: Path) -> dict[int, dict[str, Any]]:
    """A model's answers by question; of a question that a resumed run holds twice, the first.

    Raises:
        DataError: The archive holds no answers.
    """
    found: dict[int, dict[str, Any]] = {}
    for record in answers(path):
        (identity,) = fields(record, ["question_id"], path)
        found.setdefault(identity, record)
    if not found:
        raise DataError(f"{path} holds no list of answers")
    return found


def answers(path: Path) -> Iterator[dict[str, Any]]:
    """Every answer of an archive: it holds a list, a list a category, or either beside summaries of scores."""
    for value in read_archive(path).values():
        for part in value.values() if isinstance(value, dict) else [value]:
            if isinstance(part, list):
                yield from records(part, path)


def outcome(identity: int, model: str, record: dict[str, Any], path: Path) -> dict[str, Any]:
    category, answer, letter = fields(record, ["category", "answer", "pred"], path)
    text = next((record[name] for name in ANSWERED if isinstance(record.get(name), str)), None)
    return {
        "query_id": f"mmlupro-{identity}",
        "dataset": category,
        "model": model,
        # The record's own key: the data set's keys were corrected between the runs.
        "correct": float(letter == answer),
        "pred": letter,
        "out_chars": None if text is None else len(text),
    }


def query(identity: int, record: dict[str, Any], path: Path) -> dict[str, Any]:
    category, text, options, answer = fields(record, ["category", "question", "options", "answer"], path)
    if not isinstance(options, list):
        raise DataError(f"{path}: the options of question {identity} must be a list, got {options!r}")
    return {
        "query_id": f"mmlupro-{identity}",
        "dataset": "mmlu-pro",
        "category": category,
        "text": text,
        "options": options,
        "answer": answer,
        "src": record.get("src"),
    }
