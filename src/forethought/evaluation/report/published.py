"""The papers' own figures, kept apart from ours."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forethought.errors import DataError

SOURCE = "arXiv 2602.09924, as recorded in its public repository"
FILES = ("lambda_sweeps.csv", "routing_points.csv")


def read_published(folder: Path | str) -> dict[str, Any]:
    """Read the recorded lambda sweeps and routing points.

    Args:
        folder: Holds `lambda_sweeps.csv` (run, lambda, accuracy, total_output_cost_usd) and
            `routing_points.csv` (run, strategy, model, accuracy, total_output_cost_usd), or a folder
            `llms_know_difficulty` that does.

    Returns:
        `source` and `runs`: for each run its `sweep` and `points`, costs in USD of the whole run.

    Raises:
        DataError: A file or a column is missing, or a number cannot be read.
    """
    home = next((f for f in (Path(folder), Path(folder) / "llms_know_difficulty") if (f / FILES[0]).is_file()), None)
    if home is None:
        raise DataError(f"no {FILES[0]} in {folder} or its folder llms_know_difficulty")
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, part in zip(FILES, ("sweep", "points"), strict=True):
        for run, point in _points(home / name):
            runs.setdefault(run, {"sweep": [], "points": []})[part].append(point)
    return {"source": SOURCE, "runs": runs}


def _points(path: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            return [(row["run"], _point(row)) for row in csv.DictReader(lines)]
    except FileNotFoundError:
        raise DataError(f"no {path.name} in {path.parent}") from None
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: cannot read {error}; need run, accuracy and total_output_cost_usd") from error


def _point(row: Mapping[str, str]) -> dict[str, Any]:
    named = {key: row[key] for key in ("strategy", "model") if row.get(key)}
    lam = {"lambda": float(row["lambda"])} if "lambda" in row else {}
    return {**named, **lam, "accuracy": float(row["accuracy"]), "cost": float(row["total_output_cost_usd"])}
