"""LLMRouterBench (arXiv 2601.07206): one JSON file a dataset, split and model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forethought.core import Outcome, Question
from forethought.errors import DataError
from forethought.outcomes.importers.base import Imported, join
from forethought.outcomes.table import Outcomes

HEADER = ("dataset_name", "split", "model_name", "records")


def read_llmrouterbench(path: Path | str) -> Imported:
    """Read one result file, or every result file below a folder.

    Demonstration runs are left out. Of several runs of the same dataset, split and model the
    one with the latest time stamp in its file name is read. A record without a score is missing.

    Raises:
        DataError: No result, JSON of another form, or an index that means two questions.
    """
    path = Path(path)
    runs = _latest_runs(sorted(path.rglob("*.json")) if path.is_dir() else [path])
    if not runs:
        raise DataError(f"{path} holds no LLMRouterBench result (a JSON file with {list(HEADER)})")
    questions: list[Question] = []
    rows: list[Outcome] = []
    for run in runs:
        for question, outcome in _records(run):
            questions.append(question)
            rows.append(outcome)
    return join(questions, Outcomes.from_rows(rows).frame, path)


def _latest_runs(files: list[Path]) -> list[dict[str, Any]]:
    latest: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}
    for file in files:
        run = _read_run(file)
        if run.get("demo"):
            continue
        key = tuple(str(run[name]) for name in HEADER[:3])
        stamp = re.search(r"\d{8}_\d{6}", file.name)
        entry = (stamp.group() if stamp else "", run)
        latest[key] = max(latest.get(key, entry), entry, key=lambda pair: pair[0])
    return [run for _, run in latest.values()]


def _read_run(file: Path) -> dict[str, Any]:
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {error}") from error
    if not isinstance(run, dict) or any(name not in run for name in HEADER):
        raise DataError(f"{file} is no LLMRouterBench result: it needs the keys {list(HEADER)}")
    return run


def _records(run: dict[str, Any]) -> Iterator[tuple[Question, Outcome]]:
    for record in run["records"]:
        if "index" not in record or "score" not in record:
            raise DataError(f"a record of {run['dataset_name']} by {run['model_name']} lacks index or score: {record}")
        identity = f"llmrouterbench/{run['dataset_name']}/{run['split']}/{record['index']}"
        truth = _text(record.get("ground_truth"))
        question = Question.ask(
            _text(record.get("origin_query")) or _text(record.get("prompt")) or "",
            id=identity,
            answers=(truth,) if truth else (),
            group=run["dataset_name"],
        )
        score = record["score"]
        yield (
            question,
            Outcome(
                identity,
                run["model_name"],
                success=None if score is None else float(score),
                answer=_text(record.get("prediction")),
                text=_text(record.get("raw_output")),
                input_tokens=record.get("prompt_tokens"),
                output_tokens=record.get("completion_tokens"),
                cost_usd=record.get("cost"),
            ),
        )


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
