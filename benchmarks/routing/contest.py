"""Every contender on every table, cross-fitted, each pairing's predictions kept so that a killed run resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from crossfit import Contender, Predictions, View, cross_fit

from forethought import probes
from forethought.artifacts import atomic_write
from forethought.cli.console import progress
from forethought.core import content_hash

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """A contender and whether something is chosen by its inner predictions."""

    contender: Contender
    inner: bool


@dataclass(frozen=True)
class Fitted:
    """What an entry predicted, what it looks at, and the seconds one fit and prediction took on average."""

    predictions: Predictions
    kind: str
    seconds: float


def run(view: View, entries: Sequence[Entry], cache: Path) -> dict[str, Fitted]:
    """Cross-fit the entries on one table and split, reading what is already in the cache."""
    return {entry.contender.name: _cached(view, entry, cache) for entry in entries}


def _cached(view: View, entry: Entry, cache: Path) -> Fitted:
    path = cache / f"{_key(view, entry)}.npz"
    if not path.exists():
        fitted = _fit(view, entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, temporary.open("wb") as stream:
            found = fitted.predictions
            np.savez(stream, test=found.test, inner=found.inner.astype(np.float32), seconds=fitted.seconds)
    with np.load(path) as kept:
        return Fitted(
            Predictions(kept["test"], kept["inner"].astype(np.float64)), entry.contender.kind, float(kept["seconds"])
        )


def _fit(view: View, entry: Entry) -> Fitted:
    start = _spent()
    found = cross_fit(entry.contender, view, inner=entry.inner)
    folds = int(view.split.fold.max()) + 1
    fits = folds + (folds * (folds - 1) // 2 if entry.inner else 0)
    return Fitted(found, entry.contender.kind, (_spent() - start) / fits)


def _spent() -> float:
    """CPU seconds of this process and of those it started: packages' own routers run in processes of theirs."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _key(view: View, entry: Entry) -> str:
    """Everything that decides a prediction: questions, groups, labels, costs, folds, features, the contender, code."""
    table, split = view.table, view.split
    cost = b"" if table.cost is None else table.cost.tobytes()
    arrays = (table.success.tobytes(), cost, view.auxiliary.key(), split.fold.tobytes(), split.component.tobytes())
    parts = [content_hash(part.hex()) for part in arrays]
    read = "" if view.features is None else view.features.fingerprint()
    return content_hash(json.dumps([table.ids, table.groups, *parts, split.kind, read, repr(entry), code()]))[:32]


@cache
def code() -> str:
    """Hash of every source that a prediction passes through."""
    here = Path(__file__).parent
    own = [here / f"{name}.py" for name in ("crossfit", "features", "ours", "auxiliary")]
    packages = (here / "peers", here / "published", Path(probes.__file__).parent)
    sources = own + [path for package in packages for path in sorted(package.glob("*.py"))]
    return content_hash("\0".join(path.read_text() for path in sources))


def side_by_side(what: str, jobs: Sequence[Callable[[], T]], processes: int) -> list[T]:
    """Run jobs in forked processes of one thread each, in the order given; results in that order too."""
    # Forked, so that jobs are inherited and not sent.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("fork"), initializer=_Held.hold, initargs=(jobs,)
    ) as pool:
        found = []
        with progress(what) as report:
            for result in pool.map(_Held.run, range(len(jobs))):
                found.append(result)
                report(len(found), len(jobs))
        return found


class _Held:
    """What a worker inherited."""

    jobs: Sequence[Callable[[], Any]] = ()

    @classmethod
    def hold(cls, jobs: Sequence[Callable[[], Any]]) -> None:
        import torch

        torch.set_num_threads(1)
        cls.jobs = jobs

    @classmethod
    def run(cls, index: int) -> Any:
        return cls.jobs[index]()
