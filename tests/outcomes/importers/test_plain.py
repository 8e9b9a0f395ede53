from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from forethought.core import Outcome
from forethought.errors import DataError
from forethought.outcomes import read_plain

OUTCOMES = """query_id,dataset,model,correct,cost,latency,out_tokens,in_chars,pred
1,bio,small,1.0,0.5,1.5,20,99,B
1,bio,large,,0.25,2.5,30,99,
2,bio,small,0.125,,,,99,C
"""
QUERIES = """{"query_id": "1", "category": "bio", "text": "Which?", "options": ["x", "y"], "answer": "B"}
{"query_id": "2", "dataset": "mmlu", "text": "How?", "answer": NaN, "difficulty": 2.5}
{"query_id": "3", "dataset": "mmlu", "text": "Never asked", "answer": "z"}
"""


def save(folder: Path, outcomes: str = OUTCOMES, queries: str = QUERIES) -> Path:
    folder = folder / "source"
    folder.mkdir()
    (folder / "outcomes.csv.gz").write_bytes(gzip.compress(outcomes.encode()))
    (folder / "queries.jsonl.gz").write_bytes(gzip.compress(queries.encode()))
    return folder


def test_the_pair_joins_on_ids_of_its_own_namespace(tmp_path: Path) -> None:
    questions, outcomes = read_plain(save(tmp_path))

    which, how = questions
    assert (which.id, which.text, which.answers) == ("source/1", "Which?\nA. x\nB. y", ("B",))
    assert (which.group, which.grader, which.difficulty) == ("bio", "choice", None)
    assert (how.answers, how.group, how.grader, how.difficulty) == ((), "mmlu", "text", 2.5)
    assert list(outcomes) == [
        Outcome("source/1", "small", success=1.0, answer="B", output_tokens=20, cost_usd=0.5, seconds=1.5),
        Outcome("source/1", "large", success=None, output_tokens=30, cost_usd=0.25, seconds=2.5),
        Outcome("source/2", "small", success=0.125, answer="C"),
    ]


def test_another_namespace_can_be_given(tmp_path: Path) -> None:
    assert read_plain(save(tmp_path), source="mine").outcomes.question_ids == ("mine/1", "mine/2")


def test_repeated_rows_are_an_error_unless_they_are_samples(tmp_path: Path) -> None:
    folder = save(tmp_path, OUTCOMES + "1,bio,small,0.0,0.5,1.5,20,99,A\n")

    with pytest.raises(DataError, match=r"1 rows repeat .*\('source/1', 'small'\).*repeats='samples'"):
        read_plain(folder)
    *_, last = read_plain(folder, repeats="samples").outcomes
    assert (last.sample, last.success) == (1, 0.0)


@pytest.mark.parametrize(
    ("outcomes", "queries", "message"),
    [
        ("query_id,model\n1,a\n", QUERIES, r"lacks the columns \['correct'\]"),
        (OUTCOMES, '{"query_id": "1"}\n', r"lacks the columns \['text'\]"),
        (OUTCOMES, QUERIES.partition("\n")[0], "1 outcomes have no question, the first is 'source/2'"),
        (OUTCOMES, "{", "cannot read"),
        (OUTCOMES.replace("0.125", "1.125"), QUERIES, "must lie in"),
    ],
)
def test_unusable_pairs_are_named(tmp_path: Path, outcomes: str, queries: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_plain(save(tmp_path, outcomes, queries))


def test_a_lacking_file_and_a_broken_archive_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*outcomes\.csv\.gz"):
        read_plain(tmp_path)
    folder = save(tmp_path)
    (folder / "queries.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match=r"cannot read .*queries\.jsonl\.gz"):
        read_plain(folder)
