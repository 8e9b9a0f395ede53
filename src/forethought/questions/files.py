"""Questions as JSON lines, plain or gzipped."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from forethought.artifacts import atomic_write
from forethought.core import Message, Question
from forethought.errors import DataError

FIELDS = frozenset({"id", "messages", "answers", "group", "entities", "grader", "difficulty"})
ROLES = frozenset({"system", "user", "assistant"})


def write_questions(path: Path | str, questions: Iterable[Question]) -> None:
    """Write one question a line; equal questions give equal bytes, gzipped when the name ends in `.gz`.

    Raises:
        DataError: An id occurs twice.
        ArtifactError: The file cannot be written.
    """
    path = Path(path)
    lines = [json.dumps(_record(question), ensure_ascii=False) for question in _unique(path, enumerate(questions, 1))]
    content = "".join(f"{line}\n" for line in lines).encode()
    with atomic_write(path) as temporary:
        temporary.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_questions(path: Path | str) -> list[Question]:
    """Read what `write_questions` wrote; `text` may stand in place of `messages`.

    Raises:
        DataError: The file is missing or not JSON lines, a field is unknown or of the wrong
            type, or an id is empty or occurs twice; names the line and the id.
    """
    path = Path(path)
    return list(_unique(path, _parsed(path)))


def _record(question: Question) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": question.id,
        "messages": [{"role": message.role, "content": message.content} for message in question.messages],
        "answers": list(question.answers),
        "group": question.group,
        "entities": list(question.entities),
        "grader": question.grader,
    }
    return record if question.difficulty is None else {**record, "difficulty": question.difficulty}


def _unique(path: Path, numbered: Iterable[tuple[int, Question]]) -> Iterator[Question]:
    first_line: dict[str, int] = {}
    for line, question in numbered:
        if question.id in first_line:
            raise DataError(f"{path}, line {line}: id {question.id!r} stands already in line {first_line[question.id]}")
        first_line[question.id] = line
        yield question


def _parsed(path: Path) -> Iterator[tuple[int, Question]]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            yield number, _question(f"{path}, line {number}", line)


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode().split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read questions from {path}: {error}") from error


def _question(where: str, line: str) -> Question:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: expected an object, got {type(record).__name__}")
    where = f"{where} (id {record.get('id')!r})"
    if unknown := record.keys() - FIELDS - {"text"}:
        raise DataError(f"{where}: unknown fields {sorted(unknown)}; allowed are {sorted(FIELDS)} and 'text'")
    try:
        return Question(
            id=_text(record.get("id", ""), "id"),
            messages=_messages(record),
            answers=_texts(record.get("answers", []), "answers"),
            group=_text(record.get("group", ""), "group"),
            entities=_texts(record.get("entities", []), "entities"),
            grader=_text(record.get("grader", "text"), "grader"),
            difficulty=_number(record.get("difficulty")),
        )
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _messages(record: dict[str, Any]) -> tuple[Message, ...]:
    turns = record.get("messages")
    if turns is None:
        return (Message("user", _text(record.get("text"), "text")),)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) and turn.get("role") in ROLES for turn in turns):
        raise DataError(f"messages must be a list of objects with a role among {sorted(ROLES)}, got {turns!r}")
    return tuple(Message(turn["role"], _text(turn.get("content"), "content")) for turn in turns)


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{field} must be a string, got {value!r}")
    return value


def _texts(values: object, field: str) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise DataError(f"{field} must be a list of strings, got {values!r}")
    return tuple(_text(value, field) for value in values)


def _number(value: object) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise DataError(f"difficulty must be a number, got {value!r}")
    return value
