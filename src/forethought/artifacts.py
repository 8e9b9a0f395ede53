"""Directories that are whole or absent: a JSON manifest, safetensors, and nothing that runs.

An artifact is written to a temporary name beside its place, fsynced and renamed, so a reader
sees the old one or the new one. Its manifest holds the SHA-256 of every other file, and of itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forethought.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
SEAL = "manifest_sha256"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it into place.

    Raises:
        ArtifactError: The file cannot be written, for want of room or of permission.
            Nothing half-written stays behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ArtifactError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a new directory; on success fsync every file and rename it to `path`.

    An existing directory at `path` is replaced as a whole.

    Raises:
        ArtifactError: The directory cannot be written.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        yield temporary
        for file in temporary.rglob("*"):
            _sync(file)
        _swap(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise ArtifactError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def save_artifact(path: Path, manifest: Mapping[str, Any], tensors: Mapping[str, np.ndarray], **texts: str) -> str:
    """Write manifest, `tensors.safetensors` and JSON texts as one directory; return its hash.

    Args:
        path: Directory to create or replace.
        manifest: JSON-serialisable description; schema version and file hashes are added.
        tensors: Name -> array.
        **texts: File stem -> JSON text, written as `<stem>.json`.

    Returns:
        SHA-256 of the manifest: it covers every file, so equal hash means equal artifact.

    Raises:
        ArtifactError: The disk is full or not writable; what was at `path` stays.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with atomic_directory(Path(path)) as directory:
        # safetensors writes memory as it lies: a transposed view would come back scrambled.
        packed = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        try:
            save_file(packed, directory / "tensors.safetensors")
        except SafetensorError as error:
            raise ArtifactError(f"cannot write {path}: {error}") from error
        for stem, text in texts.items():
            (directory / f"{stem}.json").write_text(text)
        files = {file.name: file_hash(file) for file in sorted(directory.iterdir())}
        body = json.loads(json.dumps({"schema_version": SCHEMA_VERSION, **manifest, "files": files}))
        (directory / MANIFEST).write_text(json.dumps({**body, SEAL: _seal(body)}, indent=2, sort_keys=True) + "\n")
        return file_hash(directory / MANIFEST)


def load_artifact(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], str]:
    """Check an artifact's version and hashes and read its manifest, tensors and hash.

    Raises:
        ArtifactError: Missing or altered file, unreadable manifest, other schema version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = Path(path)
    manifest = _read_manifest(path)
    for name, expected in manifest["files"].items():
        file = path / name
        if Path(name).name != name or file.is_symlink() or not file.is_file():
            raise ArtifactError(f"artifact {path} lacks the plain file {name!r} that its manifest lists")
        if (found := file_hash(file)) != expected:
            raise ArtifactError(f"{file} was altered: SHA-256 {found[:12]}..., manifest says {expected[:12]}...")
    try:
        tensors = load_file(path / "tensors.safetensors")
    except SafetensorError as error:
        raise ArtifactError(f"{path}/tensors.safetensors is not valid safetensors: {error}") from error
    return manifest, tensors, file_hash(path / MANIFEST)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text())
    except FileNotFoundError:
        raise ArtifactError(f"{path} is no artifact: it has no {MANIFEST}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path / MANIFEST} is not JSON: {error}") from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION or not isinstance(manifest.get("files"), dict):
        raise ArtifactError(f"{path} has schema version {version!r}; this release reads {SCHEMA_VERSION}")
    if (found := manifest.pop(SEAL, None)) != _seal(manifest):
        raise ArtifactError(f"{path / MANIFEST} was altered: its content does not match its {SEAL} {found!r}")
    if "tensors.safetensors" not in manifest["files"]:
        raise ArtifactError(f"{path / MANIFEST} lists no tensors.safetensors")
    return manifest


def _seal(body: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's content, whatever its spacing."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _swap(new: Path, place: Path) -> None:
    """Put `new` at `place`; a directory cannot be renamed over a full one, so the old one steps aside first."""
    if not place.exists():
        new.rename(place)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{place.name}.old.", dir=place.parent))
    place.rename(aside / "artifact")
    new.rename(place)
    shutil.rmtree(aside)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
