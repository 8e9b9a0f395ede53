"""The files that go between the benchmark and a package's own environment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Job:
    """What a package gets to see.

    Attributes:
        targets: K names.
        train: Embeddings of the training rows, (n, d).
        success: Their outcomes, (n, K).
        test: Embeddings of the rows to route, (m, d); their outcomes are not sent.
    """

    targets: tuple[str, ...]
    train: NDArray[np.float32]
    success: NDArray[np.float64]
    test: NDArray[np.float32]


def send(folder: Path, job: Job) -> None:
    """Write `train.npz`, `test.npz` and `meta.json`."""
    np.savez(folder / "train.npz", embeddings=job.train, success=job.success)
    np.savez(folder / "test.npz", embeddings=job.test)
    (folder / "meta.json").write_text(json.dumps({"targets": job.targets}))


def receive(folder: Path) -> Job:
    """Read what `send` wrote."""
    targets = tuple(json.loads((folder / "meta.json").read_text())["targets"])
    with np.load(folder / "train.npz", allow_pickle=False) as train, np.load(folder / "test.npz") as test:
        return Job(targets, train["embeddings"], train["success"], test["embeddings"])


def answer(folder: Path, choice: NDArray[np.int64], scores: NDArray[np.float64] | None = None) -> None:
    """Write `choice.npy`, a target's column for each test row, and `scores.npy`, (m, K), if there are any."""
    np.save(folder / "choice.npy", choice)
    if scores is not None:
        np.save(folder / "scores.npy", scores)


def scores(folder: Path, targets: int) -> NDArray[np.float64]:
    """The scores, (m, K); ones at the choices where the router only chose."""
    if (folder / "scores.npy").exists():
        return np.load(folder / "scores.npy", allow_pickle=False)
    return np.eye(targets)[np.load(folder / "choice.npy", allow_pickle=False)]
