from __future__ import annotations

from pathlib import Path

import pytest

from forethought.errors import DataError
from forethought.outcomes import read_nvidia

HEADER = "question,model,isCorrect,output_tokens\n"


def save(folder: Path, rows: str, header: str = HEADER) -> Path:
    path = folder / "train.csv"
    path.write_text(header + rows)
    return path


def test_rows_join_by_the_questions_text(tmp_path: Path) -> None:
    rows = '"2 + 3,  please?",small,1,45\n2 - 3?,small,0,9\n"2 + 3, please?",large,,52\n'

    questions, outcomes = read_nvidia(save(tmp_path, rows))

    assert [q.text for q in questions] == ["2 + 3,  please?", "2 - 3?"]
    assert all(q.id.startswith("nvidia/") for q in questions)
    assert [(row.question_id, row.target, row.success, row.output_tokens) for row in outcomes] == [
        (questions[0].id, "small", 1.0, 45),
        (questions[1].id, "small", 0.0, 9),
        (questions[0].id, "large", None, 52),
    ]


def test_ids_do_not_depend_on_the_rows_order(tmp_path: Path) -> None:
    rows = ["a?,small,1,45\n", "b?,small,0,9\n"]

    ids = [
        {q.text: q.id for q in read_nvidia(save(tmp_path, "".join(order))).questions} for order in (rows, rows[::-1])
    ]

    assert ids[0] == ids[1]


def test_tokens_are_optional_and_other_columns_ignored(tmp_path: Path) -> None:
    _, outcomes = read_nvidia(save(tmp_path, "a?,small,true,x\n", "question,model,isCorrect,embedding_id\n"))

    (row,) = outcomes
    assert (row.success, row.output_tokens) == (1.0, None)


def test_two_rows_of_one_question_and_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two rows for question"):
        read_nvidia(save(tmp_path, "a?,small,1,45\n  a?  ,small,0,9\n"))


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [("a?,m\n", "question,model\n", "lacks the columns"), (" ,m,1,2\n", HEADER, "row 0 has an empty question")],
)
def test_unusable_files_are_named(tmp_path: Path, rows: str, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_nvidia(save(tmp_path, rows, header))
