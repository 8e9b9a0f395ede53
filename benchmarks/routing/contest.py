"""Every contender on every table, cross-fitted, each pairing's predictions kept so that a killed run resumes."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from crossfit import Contender, Predictions, View, cross_fit

from forethought.artifacts import atomic_write
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
    start = time.process_time()
    found = cross_fit(entry.contender, view, inner=entry.inner)
    folds = int(view.split.fold.max()) + 1
    fits = folds + (folds * (folds - 1) // 2 if entry.inner else 0)
    return Fitted(found, entry.contender.kind, (time.process_time() - start) / fits)


def _key(view: View, entry: Entry) -> str:
    """Everything that decides a prediction: questions, labels, folds, the contender and its source."""
    table = view.table
    parts = (table.success.tobytes(), view.split.fold.tobytes(), view.auxiliary.key())
    labels = [content_hash(part.hex()) for part in parts]
    source = Path(inspect.getfile(type(entry.contender))).read_text()
    return content_hash(json.dumps([table.ids, labels, view.split.kind, repr(entry), source]))[:32]


def side_by_side(jobs: Sequence[Callable[[], T]], processes: int) -> list[T]:
    """Run jobs in forked processes of one thread each, in the order given; results in that order too."""
    # Forked, so that the activations that jobs read are shared and not sent.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("fork"), initializer=_Held.hold, initargs=(jobs,)
    ) as pool:
        return list(pool.map(_Held.run, range(len(jobs))))


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
