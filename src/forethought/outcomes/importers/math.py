"""The MATH test table of arXiv 2602.09924: seven targets' recorded results on 5,000 questions."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.importers.base import Imported, join, namespaced, read_rows, require, unpivot

TABLE = "math_test_outcomes.parquet"
ONE_SAMPLE = ("greedy", "one")


def read_math(folder: Path | str) -> Imported:
    """Read the folder's `math_test_outcomes.parquet`.

    Targets are the models with one answer a question (`<model>|greedy`, and `<model>|one@T...`
    of a model that was never asked greedily). The group is the subject, the difficulty MATH's
    level 1 to 5, the accepted answer the solution's last box.

    Raises:
        DataError: A lacking file or column, or a model with two columns of one sample.
    """
    path = Path(folder) / TABLE
    frame = read_rows(path)
    require(frame, ["idx", "subject", "level", "problem", "solution"], path)
    frame = frame.with_columns(question_id=namespaced("math/test", "idx"))
    columns = _targets(frame, path)
    fields = ["question_id", "subject", "level", "problem", "solution"]
    questions = [_question(*row) for row in frame.select(fields).iter_rows()]
    return join(questions, unpivot(frame, {model: {"success": name} for model, name in columns.items()}, path), path)


def boxed(solution: str) -> str | None:
    r"""The content of the last `\boxed{...}` or `\fbox{...}`, braces balanced; None without one."""
    starts = list(re.finditer(r"\\(?:boxed|fbox)\s*\{", solution))
    if not starts:
        bare = re.findall(r"\\boxed\s+(\S)", solution)
        return bare[-1] if bare else None
    begin, depth = starts[-1].end(), 1
    for place in range(begin, len(solution)):
        depth += {"{": 1, "}": -1}.get(solution[place], 0)
        if depth == 0:
            return solution[begin:place].strip()
    return None


def _targets(frame: pl.DataFrame, path: Path) -> dict[str, str]:
    """Model -> its column of single answers, in the table's order."""
    found: dict[str, str] = {}
    for name in frame.columns:
        model, _, label = name.partition("|")
        if label.partition("@")[0] in ONE_SAMPLE:
            if model in found:
                raise DataError(f"{path}: {model!r} has two columns of one sample, {found[model]!r} and {name!r}")
            found[model] = name
    if not found:
        raise DataError(f"{path} has no column named <model>|greedy or <model>|one@T...; it has {frame.columns}")
    return found


def _question(identity: str, subject: str, level: str, problem: str, solution: str) -> Question:
    rating = re.search(r"\d+", level)
    answer = boxed(solution)
    return Question.ask(
        problem,
        id=identity,
        answers=(answer,) if answer else (),
        group=subject,
        grader="math",
        difficulty=float(rating.group()) if rating else None,
    )
