from __future__ import annotations

from pathlib import Path

import pytest

from forethought.core import Outcome
from forethought.errors import DataError
from forethought.outcomes import read_routellm

GSM8K = """prompt,mixtral,gpt-4,mixtral_response,gpt-4_response
"Two plus two, please?",True,False,4,five
Three?,,True,,3
"""
MMLU = """prompt,mixtral,gpt-4
"Pick one.
A. 0
Answer:",False,True
"""


def test_one_file_with_responses(tmp_path: Path) -> None:
    (tmp_path / "gsm8k_responses.csv").write_text(GSM8K)

    questions, outcomes = read_routellm(tmp_path / "gsm8k_responses.csv")

    assert [(q.id, q.text, q.group) for q in questions] == [
        ("routellm/gsm8k/0", "Two plus two, please?", "gsm8k"),
        ("routellm/gsm8k/1", "Three?", "gsm8k"),
    ]
    assert list(outcomes) == [
        Outcome("routellm/gsm8k/0", "mixtral", success=1.0, text="4"),
        Outcome("routellm/gsm8k/1", "mixtral", success=None),
        Outcome("routellm/gsm8k/0", "gpt-4", success=0.0, text="five"),
        Outcome("routellm/gsm8k/1", "gpt-4", success=1.0, text="3"),
    ]


def test_a_folder_of_files_keeps_their_names_apart(tmp_path: Path) -> None:
    (tmp_path / "gsm8k_responses.csv").write_text(GSM8K)
    (tmp_path / "mmlu_algebra.csv").write_text(MMLU)

    questions, outcomes = read_routellm(tmp_path)

    assert questions[2].id == "routellm/mmlu_algebra/0"
    assert questions[2].text == "Pick one.\nA. 0\nAnswer:"
    assert len(outcomes) == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("question,a\nx,True\n", "lacks the columns"),
        ("prompt\nx\n", "no column"),
        ("prompt,a\nx,maybe\n", "must hold scores .* got 'maybe'"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "table.csv").write_text(content)

    with pytest.raises(DataError, match=message):
        read_routellm(tmp_path / "table.csv")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no CSV"):
        read_routellm(tmp_path)
