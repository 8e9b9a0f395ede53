"""The study's tables as small files: one a seed, whole numbers, no more than the figures need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from figures import LATE, Seed
from study import WAYS, Study, as_arrays, from_arrays

from forethought.artifacts import atomic_write
from forethought.training import BudgetTable

KEPT = ("share", "accuracy", "trials", "tokens", "accepted_share")
"""Of what practice reports."""


def read_study(study: Study) -> Seed:
    """A seed as far as it has been run."""
    tables, late = {}, {}
    for place in sorted(study.folder.glob("*.table")):
        name = place.name.removesuffix(".table")
        tables[name] = study.tested(name, study.missing)
        if name not in ("sv", "asv"):
            last = study.history(name)[-LATE:]
            late[name] = {key: float(np.mean([row[key] for row in last])) for key in KEPT if key in last[0]}
    return Seed(tables, late, study.plain_votes())


def write_seed(seed: Seed, path: Path) -> None:
    """Pack a seed; every success, share and count of one trace a question is a whole number."""
    arrays: dict[str, np.ndarray] = {f"plain.{name}": _small(values) for name, values in seed.plain.items()}
    for arm, table in seed.tables.items():
        arrays |= {f"{arm}/{name}": _small(values) for name, values in as_arrays(table).items()}
    with atomic_write(path) as new, new.open("wb") as file:
        np.savez_compressed(file, late=np.frombuffer(json.dumps(seed.late).encode(), np.uint8), **arrays)


def read_seed(path: Path) -> Seed:
    """Unpack one."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    late: Mapping[str, Mapping[str, float]] = json.loads(arrays.pop("late").tobytes())
    plain = {
        name.removeprefix("plain."): values.astype(float)
        for name, values in arrays.items()
        if name.startswith("plain.")
    }
    return Seed({arm: _table(arrays, arm) for arm in _arms(arrays)}, late, plain)


def _arms(arrays: Mapping[str, np.ndarray]) -> list[str]:
    return list(dict.fromkeys(name.partition("/")[0] for name in arrays if "/" in name))


def _table(arrays: Mapping[str, np.ndarray], arm: str) -> BudgetTable:
    own = {
        name.partition("/")[2]: values.astype(float) for name, values in arrays.items() if name.startswith(f"{arm}/")
    }
    assert len(own) == 1 + 4 * len(WAYS), "levels, and four columns a way"
    return from_arrays(own)


def _small(values: np.ndarray) -> np.ndarray:
    small = values.astype(np.uint16)
    if not (small == values).all():
        raise ValueError("only whole numbers are packed: one trace a question")
    return small
