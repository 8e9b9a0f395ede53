"""BIG-bench Hard: the outputs of one model that answers directly or after a chain of thought, a JSON file a task."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from converters.files import Files, fields, inside, pair, read_json, records
from forethought.errors import DataError

FOLDER = "code-davinci-002-outputs"
MODEL = "code-davinci-002"
ENDING = "_few_shot_template_0-255000.json"
THOUGHT = " Let's think step by step."
OPTION = re.compile(r"\([A-Z]\)")


class Output(NamedTuple):
    """One answer to one question of a task."""

    task: str
    number: int
    prompt: str
    prediction: str
    target: str


def convert(clone: Path) -> Files:
    """Both ways of answering as two targets, scored by exact match of what they answer.

    Raises:
        DataError: The two ways did not answer the same questions.
    """
    asked = {way: outputs(inside(clone, f"{FOLDER}/{MODEL}-{way}")) for way in ("cot", "direct")}
    queries = [query(output) for output in asked["direct"]]
    if queries != [query(output) for output in asked["cot"]]:
        raise DataError(f"{clone / FOLDER}: the questions of {MODEL}-cot and {MODEL}-direct differ")
    return pair([outcome(output, way) for way, rows in asked.items() for output in rows], queries)


def outputs(folder: Path) -> list[Output]:
    """Every output of every task."""
    found = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        content: Any = read_json(path)
        rows = records(content.get("outputs") if isinstance(content, dict) else content, path)
        task = path.name.removesuffix(ENDING)
        names = ["input", "prediction", "target"]
        found += [Output(task, number, *fields(row, names, path)) for number, row in enumerate(rows)]
    if not found:
        raise DataError(f"{folder} holds no file *{ENDING} with outputs")
    return found


def outcome(output: Output, way: str) -> dict[str, Any]:
    answer = output.prediction.strip() if way == "direct" else concluded(output.prediction, output.target)
    return {
        "query_id": f"bbh-{output.task}-{output.number}",
        "dataset": output.task,
        "model": f"{MODEL}:{way}",
        "correct": float(answer == output.target),
        "in_chars": len(output.prompt),
        "out_chars": len(output.prediction),
    }


def query(output: Output) -> dict[str, Any]:
    """The question alone: the prompt's solved examples and its call to think are cut off."""
    return {
        "query_id": f"bbh-{output.task}-{output.number}",
        "dataset": output.task,
        "text": output.prompt.rpartition("\n\nQ: ")[2].removesuffix(THOUGHT),
        "answer": output.target,
    }


def concluded(prediction: str, target: str) -> str:
    """The answer that a chain of thought comes to, '' without one; of several options that it names, the first."""
    _, found, said = prediction.rpartition("answer is ")
    if not found:
        return ""
    option = OPTION.search(said) if OPTION.fullmatch(target) else None
    return option.group() if option else said.strip().removesuffix(".")
