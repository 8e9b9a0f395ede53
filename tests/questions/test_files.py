from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import Message, Question
from forethought.errors import DataError
from forethought.questions import read_questions, write_questions

CHAT = Question(
    id="b",
    messages=(
        Message("system", "Kürze."),
        Message("user", "Why?\nReally?"),
        Message("assistant", "x"),
        Message("user", "y"),
    ),
    answers=("São Tomé", "2"),
    group="g",
    entities=("e",),
    difficulty=2.5,
)


@pytest.mark.parametrize("name", ["q.jsonl", "q.jsonl.gz"])
def test_round_trip(tmp_path: Path, name: str):
    questions = [Question.ask("What?", id="a"), CHAT]
    write_questions(tmp_path / name, questions)
    assert read_questions(tmp_path / name) == questions


def test_gzip_bytes_do_not_depend_on_time(tmp_path: Path):
    for name in ("one.jsonl.gz", "two.jsonl.gz"):
        write_questions(tmp_path / name, [CHAT])
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()
    assert gzip.decompress((tmp_path / "one.jsonl.gz").read_bytes()).endswith(b"\n")


@given(st.lists(st.text(min_size=1), unique=True, max_size=4))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]):
    path = tmp_path_factory.mktemp("any") / "q.jsonl"
    texts = [text.encode("utf-8", "ignore").decode() + "x" for text in texts]
    questions = [Question.ask(text, id=str(number), answers=(text,)) for number, text in enumerate(texts)]
    write_questions(path, questions)
    assert read_questions(path) == questions


def test_duplicate_id_is_refused_when_read_and_when_written(tmp_path: Path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": "a", "text": "x"}\n\n{"id": "a", "text": "y"}\n')
    with pytest.raises(DataError, match=r"line 3: id 'a' stands already in line 1"):
        read_questions(path)
    with pytest.raises(DataError, match=r"id 'b'"):
        write_questions(tmp_path / "new.jsonl", [CHAT, CHAT])
    assert not (tmp_path / "new.jsonl").exists()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"id": "", "text": "x"}, "empty id"),
        ({"text": "x"}, "empty id"),
        ({"id": 3, "text": "x"}, "id must be a string, got 3"),
        ({"id": "a"}, "text must be a string, got None"),
        ({"id": "a", "text": "x", "answer": "y"}, "unknown fields"),
        ({"id": "a", "text": "x", "answers": "y"}, "answers must be a list of strings"),
        ({"id": "a", "text": "x", "answers": [1]}, "answers must be a string, got 1"),
        ({"id": "a", "text": "x", "difficulty": "hard"}, "difficulty must be a number"),
        ({"id": "a", "messages": []}, "must end with a user turn"),
        ({"id": "a", "messages": [{"role": "robot", "content": "x"}]}, "role among"),
        ({"id": "a", "messages": [{"role": "user"}]}, "content must be a string"),
        ([1], "expected an object, got list"),
    ],
)
def test_bad_records_name_their_line(tmp_path: Path, record: object, message: str):
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": "good", "text": "x"}\n' + json.dumps(record) + "\n")
    with pytest.raises(DataError, match="line 2.*" + message):
        read_questions(path)


def test_unreadable_files(tmp_path: Path):
    with pytest.raises(DataError, match="cannot read questions from"):
        read_questions(tmp_path / "absent.jsonl")
    (tmp_path / "q.jsonl").write_text("{oops\n")
    with pytest.raises(DataError, match="line 1: not JSON"):
        read_questions(tmp_path / "q.jsonl")
    (tmp_path / "q.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot read questions from"):
        read_questions(tmp_path / "q.jsonl.gz")
