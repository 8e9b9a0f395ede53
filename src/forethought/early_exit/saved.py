"""What an artifact of exits says of itself, before any model is loaded for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forethought.core import DecodingPolicy
from forethought.early_exit.model import read_exits
from forethought.errors import ArtifactError, ConfigError


@dataclass(frozen=True)
class SavedExits:
    """The description of saved exits.

    Attributes:
        path: Of the artifact.
        model: Name of the model they were made for.
        weights: Its fingerprint.
        n_layers: Its L.
        layers: Of the exits.
        report: How they came to be and what was measured.
        hash: Of the artifact.
    """

    path: Path
    model: str
    weights: str
    n_layers: int
    layers: tuple[int, ...]
    report: Mapping[str, Any]
    hash: str

    @classmethod
    def read(cls, path: Path | str) -> SavedExits:
        """Read and check an artifact.

        Raises:
            ArtifactError: None there, altered, or of another kind or release.
        """
        manifest, config, _, hash = read_exits(Path(path))
        made_for = manifest["model"]
        return cls(
            path=Path(path),
            model=made_for["name"],
            weights=made_for["weights"],
            n_layers=made_for["layers"],
            layers=config.layers,
            report=manifest.get("report") or {},
            hash=hash,
        )

    @property
    def threshold(self) -> float | None:
        """The certified threshold; None where none could be certified, and the unmodified model is to answer.

        Raises:
            ArtifactError: None was ever looked for.
        """
        if "threshold" not in self.report:
            raise ArtifactError(f"{self.path} states no threshold: name one in [0, 1]")
        found = self.report["threshold"]
        return None if found is None else float(found)

    @property
    def policy(self) -> DecodingPolicy:
        """How the model was asked when the exits were made; what was certified holds for it.

        Raises:
            ArtifactError: Nothing, or nothing that can be, is said of it.
        """
        try:
            return DecodingPolicy(**self.report["policy"])
        except KeyError:
            raise ArtifactError(f"{self.path} does not say under which policy its exits were made") from None
        except (TypeError, ConfigError) as error:
            raise ArtifactError(f"{self.path} names a policy that cannot be: {error}") from error
