"""Artifacts that are replaced while they are served: whether one changed, and loading it whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

from forethought.errors import ArtifactError, ForethoughtError

T = TypeVar("T")

Signature: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of change of every file; differs between any two states of an artifact."""

_TRIES = 5
_PAUSE = 0.02


def signature(path: Path) -> Signature | None:
    """What an artifact's directory looks like now, None where there is none.

    Every file counts, not the manifest alone: of one that is copied into place file by file, the manifest may come
    first.
    """
    try:
        with os.scandir(path) as found:
            states = [(entry.name, entry.stat(follow_symlinks=False)) for entry in found]
    except OSError:
        return None
    return tuple(sorted((name, state.st_ino, state.st_size, state.st_mtime_ns) for name, state in states))


def load_steady(path: Path, load: Callable[[], T]) -> tuple[T, Signature]:
    """Load an artifact that stays the same from the first byte read to the last.

    Where it is replaced meanwhile, parts of two could be taken for one: it is loaded again.

    Args:
        path: The artifact.
        load: Reads it.

    Returns:
        What was loaded, and what the directory looked like.

    Raises:
        ArtifactError: It cannot be read, or did not hold still.
        ForethoughtError: Whatever else `load` raises on purpose.
    """
    for attempt in range(_TRIES):
        time.sleep(attempt * _PAUSE)
        before = signature(path)
        try:
            found = load()
        except ForethoughtError:
            if signature(path) == before:
                raise
        except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
            if signature(path) == before:
                raise ArtifactError(f"{path} is no artifact of a router: {type(error).__name__}: {error}") from error
        else:
            if before is not None and signature(path) == before:
                return found, before
    raise ArtifactError(f"{path} was replaced again and again while it was read")
