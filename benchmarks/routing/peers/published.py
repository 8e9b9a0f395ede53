"""Routers as their own packages publish them, each run by an environment of its own; see `published/README.md`."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from crossfit import Array, View
from published.exchange import Job, scores, send
from splits import Rows

PYTHON = "FORETHOUGHT_PEERS_PYTHON"
SCRIPTS = Path(__file__).parents[1] / "published"


def available() -> bool:
    """Whether `FORETHOUGHT_PEERS_PYTHON` names a program."""
    return shutil.which(os.environ.get(PYTHON, "")) is not None


@dataclass(frozen=True)
class Published:
    """A package's own router on MiniLM's embeddings: it fits and chooses, nothing is re-implemented.

    Args:
        package: `llmrouter` only chooses, so that its scores are ones and zeros; `routellm` gives each target's win
            rate over the best single one.
        router: `knn`, `svm`, `mlp`, `mf` or `elo` of `llmrouter`; `mf` of `routellm`.
    """

    package: Literal["llmrouter", "routellm"]
    router: Literal["knn", "svm", "mlp", "mf", "elo"]
    seed: int = 0
    kind = "published"

    @property
    def name(self) -> str:
        return f"{self.package}'s own {self.router}"

    def predict(self, view: View, train: Rows, test: Rows) -> Array:
        """Scores of the test rows.

        Raises:
            RuntimeError: The package's run failed.
        """
        X, table = view.features.embedding(view.table), view.table
        with TemporaryDirectory() as name:
            folder = Path(name)
            send(folder, Job(table.targets, X[train], table.success[train], X[test]))
            self._run(folder)
            return scores(folder, len(table.targets))

    def _run(self, folder: Path) -> None:
        script = SCRIPTS / f"run_{self.package}.py"
        ran = subprocess.run(
            [os.environ[PYTHON], str(script), self.router, str(folder), str(self.seed)],
            env={"PATH": os.environ.get("PATH", ""), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            raise RuntimeError(f"{self.name} failed:\n{ran.stderr[-2000:]}")
