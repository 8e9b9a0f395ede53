"""Fingerprint of a model's weights."""

from __future__ import annotations

import json
from pathlib import Path

from forethought.artifacts import atomic_write, file_hash
from forethought.core import content_hash
from forethought.errors import ArtifactError

CACHED = ".fingerprint.json"


def weights_fingerprint(folder: Path) -> str:
    """SHA-256 over names and SHA-256 of a folder's safetensors files.

    Hashing half a gigabyte takes seconds, so the result is kept beside the files and holds as
    long as their sizes and times stay; in a folder that cannot be written it is computed each time.

    Raises:
        ArtifactError: The folder has no safetensors file.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ArtifactError(f"{folder} has no .safetensors file; weights in other formats are not loaded")
    state: list[list[str | int]] = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    if (known := _read(folder / CACHED, state)) is not None:
        return known
    fingerprint = content_hash("\n".join(f"{file.name} {file_hash(file)}" for file in files))
    try:
        with atomic_write(folder / CACHED) as new:
            new.write_text(json.dumps({"state": state, "sha256": fingerprint}))
    except ArtifactError:
        pass  # read-only folder: nothing is lost but time
    return fingerprint


def _read(file: Path, state: list[list[str | int]]) -> str | None:
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return str(kept["sha256"]) if isinstance(kept, dict) and kept.get("state") == state and "sha256" in kept else None
