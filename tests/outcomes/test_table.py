from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from forethought.core import Outcome
from forethought.errors import ArtifactError, DataError
from forethought.outcomes.table import SCHEMA, Outcomes, concat

ROWS = [
    Outcome("q1", "small", success=1.0, answer="Paris", text="Paris.", input_tokens=9, output_tokens=2, seconds=0.5),
    Outcome("q1", "small", sample=1, success=0.25, cost_usd=1e-6),
    Outcome("q2", "small", success=None),
    Outcome("q2", "large", success=0.0, unparsable=True),
]


def test_rows_survive_a_round_trip_through_parquet(tmp_path: Path) -> None:
    Outcomes.from_rows(ROWS).write(tmp_path / "table.parquet")

    table = Outcomes.read(tmp_path / "table.parquet")

    assert list(table) == ROWS
    assert dict(table.frame.schema) == dict(SCHEMA)
    assert [path.name for path in tmp_path.iterdir()] == ["table.parquet"]


def test_targets_and_questions_come_by_first_appearance() -> None:
    table = Outcomes.from_rows(ROWS)

    assert table.targets == ("small", "large")
    assert table.question_ids == ("q1", "q2")
    assert len(table) == 4
    assert repr(table) == "Outcomes(4 rows, 2 questions, 2 targets)"


def test_missing_success_stays_missing() -> None:
    assert Outcomes.from_rows(ROWS).frame["success"].null_count() == 1


def test_nan_becomes_missing() -> None:
    frame = pl.DataFrame({"question_id": ["q"], "target": ["t"], "success": [float("nan")], "seconds": [float("nan")]})

    (row,) = Outcomes(frame)

    assert row.success is None
    assert row.seconds is None


def test_absent_columns_take_their_defaults() -> None:
    (row,) = Outcomes(pl.DataFrame({"question_id": ["q"], "target": ["t"]}))

    assert row == Outcome("q", "t")


def test_filter_keeps_the_asked_rows_in_order() -> None:
    table = Outcomes.from_rows(ROWS)

    assert list(table.filter(targets=["small"])) == ROWS[:3]
    assert list(table.filter(question_ids=["q2"], targets=["large"])) == ROWS[3:]
    assert len(table.filter(targets=[])) == 0
    assert len(table.filter()) == len(table)


def test_concat_joins_tables_and_refuses_the_same_key_twice() -> None:
    whole = Outcomes.from_rows(ROWS)
    parts = [whole.filter(question_ids=["q1"]), whole.filter(question_ids=["q2"])]

    assert list(concat(parts)) == ROWS
    assert len(concat([])) == 0
    with pytest.raises(DataError, match=r"two rows for question 'q1', target 'small', sample 0"):
        concat([whole, parts[0]])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"question_id": ["q"]}, "needs the columns"),
        ({"question_id": ["q"], "target": ["t"], "colour": ["red"]}, "no columns"),
        ({"question_id": ["q", ""], "target": ["t", "t"]}, "row 1 .* empty question_id"),
        ({"question_id": ["q"], "target": pl.Series([None], dtype=pl.String)}, "empty target"),
        ({"question_id": ["q"], "target": ["t"], "success": [1.5]}, r"'q' by 't' must lie in \[0, 1\], got 1.5"),
        ({"question_id": ["q"], "target": ["t"], "success": ["right"]}, "cannot hold"),
    ],
)
def test_unusable_tables_are_named(columns: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Outcomes(pl.DataFrame(columns))


def test_unreadable_files_are_data_errors(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 but no further")

    for path in (broken, tmp_path / "absent.parquet"):
        with pytest.raises(DataError, match=path.name):
            Outcomes.read(path)


def test_a_place_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").mkdir()

    with pytest.raises(ArtifactError, match="cannot write"):
        Outcomes.from_rows(ROWS).write(tmp_path / "table.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["table.parquet"]
