"""Reading `evaluation.json`, and what its columns are called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from forethought.errors import DataError

Evaluated: TypeAlias = Mapping[str, Any]
"""`Evaluation.json()`: plain data, null where a number is undefined."""

ROUTER = "forethought"
PARTS = (
    "about", "references", "cards", "differences", "frontier", "operating",
    "reliability", "usage", "zones", "certificate", "layers",
)  # fmt: skip


def read_evaluation(path: Path | str) -> Evaluated:
    """Read a saved evaluation.

    Raises:
        DataError: No such file, not JSON, or not an evaluation.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"no evaluation at {path}; `forethought evaluate` writes one") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict) or (missing := [part for part in PARTS if part not in found]):
        what = f"it lacks {', '.join(missing)}" if isinstance(found, dict) else "it holds no object"
        raise DataError(f"{path} is not an evaluation: {what}")
    return found


def best_single(evaluation: Evaluated) -> str:
    """The target that was best on the training part."""
    return str(evaluation["about"]["best_single"])


def dearest(evaluation: Evaluated) -> str:
    """The target with the highest mean cost."""
    targets = evaluation["frontier"]["targets"]
    return str(max(targets, key=lambda name: targets[name]["cost"]))


def cheapest(evaluation: Evaluated) -> str:
    """The target with the lowest mean cost."""
    targets = evaluation["frontier"]["targets"]
    return str(min(targets, key=lambda name: targets[name]["cost"]))


def card(evaluation: Evaluated, name: str = ROUTER) -> Mapping[str, Any]:
    """One contender's figures.

    Raises:
        DataError: No such contender.
    """
    for found in evaluation["cards"]:
        if found["name"] == name:
            return dict(found)
    raise DataError(f"no contender {name!r} among {', '.join(c['name'] for c in evaluation['cards'])}")


def ranked(evaluation: Evaluated) -> list[Mapping[str, Any]]:
    """Contenders, the most accurate first; the router before its equals."""
    return sorted(evaluation["cards"], key=lambda c: (-float(c["accuracy"]["value"]), c["name"] != ROUTER))


def reads_activations(evaluation: Evaluated, name: str) -> bool:
    """Whether a contender must run the encoder, and so must pay for it."""
    return name == ROUTER or str(card(evaluation, name)["signal"]).startswith("activations")


def without_activations(evaluation: Evaluated) -> Sequence[Mapping[str, Any]]:
    """Contenders that never run the encoder, the most accurate first."""
    return [c for c in ranked(evaluation) if not reads_activations(evaluation, c["name"])]


def operating(evaluation: Evaluated, name: str) -> Mapping[str, Any] | None:
    """One operating row, None where no setting of that name was found."""
    return next((row for row in evaluation["operating"] if row["name"] == name), None)
