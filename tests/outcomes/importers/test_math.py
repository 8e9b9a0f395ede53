from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from forethought.errors import DataError
from forethought.outcomes import read_math
from forethought.outcomes.importers.math import TABLE, boxed

ROWS = {
    "idx": [0, 1],
    "subject": ["Algebra", "Geometry"],
    "level": ["Level 3", "Level ?"],
    "problem": ["Solve $x=1$.", "How long?"],
    "solution": [r"So $\boxed{\frac{1}{2}}$.", "Unboxed."],
    "a|greedy": [1.0, 0.0],
    "a|sr50@T1.0": [0.5, 0.5],
    "b|one@T1.0": [None, 1.0],
    "b|maj@8@T1.0": [1.0, 1.0],
}


def test_targets_are_the_models_with_one_answer(tmp_path: Path) -> None:
    pl.DataFrame(ROWS).write_parquet(tmp_path / TABLE)

    questions, outcomes = read_math(tmp_path)

    solve, length = questions
    assert (solve.id, solve.group, solve.answers, solve.difficulty) == (
        "math/test/0",
        "Algebra",
        (r"\frac{1}{2}",),
        3.0,
    )
    assert (length.answers, length.difficulty, length.grader) == ((), None, "math")
    assert [(row.question_id, row.target, row.success) for row in outcomes] == [
        ("math/test/0", "a", 1.0),
        ("math/test/1", "a", 0.0),
        ("math/test/0", "b", None),
        ("math/test/1", "b", 1.0),
    ]


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        (r"\boxed{1} or rather \boxed{\sqrt{2} + \{3\}}", r"\sqrt{2} + \{3\}"),
        (r"\fbox{7}", "7"),
        (r"$\boxed 5$", "5"),
        (r"\boxed{never closed", None),
        ("nothing", None),
    ],
)
def test_boxed(solution: str, expected: str | None) -> None:
    assert boxed(solution) == expected


def test_two_columns_of_one_sample_are_refused(tmp_path: Path) -> None:
    pl.DataFrame(ROWS | {"b|greedy": [1.0, 1.0]}).write_parquet(tmp_path / TABLE)

    with pytest.raises(DataError, match="'b' has two columns of one sample"):
        read_math(tmp_path)


def test_a_table_without_targets_is_refused(tmp_path: Path) -> None:
    pl.DataFrame(ROWS).drop("a|greedy", "b|one@T1.0").write_parquet(tmp_path / TABLE)

    with pytest.raises(DataError, match="no column named"):
        read_math(tmp_path)
