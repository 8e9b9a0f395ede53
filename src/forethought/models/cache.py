"""Where fetched models lie, and which of them are there."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from forethought.models.catalog import CATALOG, CatalogEntry

RECORD = "forethought.json"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A catalogue model as it stands on this machine; `bytes` is 0 where it is not installed."""

    name: str
    licence: str
    installed: bool
    path: Path
    bytes: int


def cache_dir() -> Path:
    """`$FORETHOUGHT_CACHE`, or `forethought` in the user's cache folder."""
    if chosen := os.environ.get("FORETHOUGHT_CACHE"):
        return Path(chosen).expanduser()
    return _user_cache() / "forethought"


def _user_cache() -> Path:
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    return Path.home() / ".cache"


def model_path(entry: CatalogEntry, cache: Path | None = None) -> Path:
    """Folder of the converted model, whether it is there or not."""
    return (cache or cache_dir()) / "models" / entry.name


def is_installed(entry: CatalogEntry, cache: Path | None = None) -> bool:
    """Whether the folder is there and was converted from the catalogue's GGUF file."""
    try:
        record = json.loads((model_path(entry, cache) / RECORD).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("gguf_sha256") == entry.sha256


def list_models(cache: Path | None = None) -> list[ModelStatus]:
    """Every model of the catalogue, installed or not."""
    return [_status(entry, cache) for entry in CATALOG.values()]


def _status(entry: CatalogEntry, cache: Path | None) -> ModelStatus:
    path = model_path(entry, cache)
    installed = is_installed(entry, cache)
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file()) if installed else 0
    return ModelStatus(entry.name, entry.licence, installed, path, size)
