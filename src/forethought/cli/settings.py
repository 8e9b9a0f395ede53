"""The resolved configuration of a run, written so that `--config` loads it back to the same run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forethought.artifacts import atomic_write


def write_settings(path: Path, verb: str, settings: Mapping[str, Any]) -> None:
    """Write one verb's settings as TOML; what is None is left to its default.

    Strings, numbers, booleans and lists look the same in JSON and in TOML.
    """
    lines = [f"{key} = {json.dumps(value)}" for key, value in _set(settings).items()]
    with atomic_write(path) as temporary:
        temporary.write_text(f"[{verb}]\n" + "\n".join(lines) + "\n")


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in settings.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
