"""What the converters share: reading files that others made, and the plain pair as bytes."""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from forethought.errors import DataError

Files = dict[str, bytes]
"""Name -> content, all that a table's folder holds."""

MEMBER_BYTES = 1 << 28
"""Size to which one file of an archive may unpack: far above what a model's 12,000 answers take."""


def pair(outcomes: Sequence[Mapping[str, Any]], queries: Sequence[Mapping[str, Any]]) -> Files:
    """`outcomes.csv.gz` and `queries.jsonl.gz`; equal rows give equal bytes."""
    table = pl.from_dicts(outcomes, infer_schema_length=None).write_csv()
    lines = "".join(json.dumps(query, ensure_ascii=False) + "\n" for query in queries)
    return {
        "outcomes.csv.gz": gzip.compress(table.encode(), mtime=0),
        "queries.jsonl.gz": gzip.compress(lines.encode(), mtime=0),
    }


def inside(clone: Path, path: str) -> Path:
    """A file or folder of the clone.

    Raises:
        DataError: The clone lacks it.
    """
    if not (clone / path).exists():
        raise DataError(f"{clone} has no {path}: it must be a clone of the source at the commit that --help names")
    return clone / path


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        DataError: It cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Objects, one a line; their fields may have another type on every line.

    Raises:
        DataError: It cannot be read or a line is no object.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        return records([json.loads(line) for line in lines if line.strip()], path)
    except (OSError, ValueError) as error:
        raise error if isinstance(error, DataError) else DataError(f"cannot read {path}: {error}") from error


def read_archive(path: Path, ending: str = ".json") -> dict[str, Any]:
    """The JSON files of a zip archive by name, in its order; nothing is unpacked to disk.

    Raises:
        DataError: No archive, or a file in it that is too large or no JSON.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                member.filename: json.loads(_unpacked(archive, member))
                for member in archive.infolist()
                # macOS adds a shadow of every file, with the same ending and no JSON in it.
                if member.filename.endswith(ending) and not member.filename.startswith("__MACOSX/")
            }
    # The module raises RuntimeError for an encrypted file and NotImplementedError for an unknown packing.
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError) as error:
        raise error if isinstance(error, DataError) else DataError(f"cannot read {path}: {error}") from error


def records(value: Any, where: Path | str) -> list[dict[str, Any]]:
    """A list of JSON objects.

    Raises:
        DataError: It is something else.
    """
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        raise DataError(f"{where} must hold a list of objects, got {_shortened(value)}")
    return value


def fields(record: Mapping[str, Any], names: Sequence[str], where: Path | str) -> list[Any]:
    """The values of some fields of an object.

    Raises:
        DataError: The object lacks one.
    """
    if lacking := [name for name in names if name not in record]:
        raise DataError(f"{where}: an entry lacks {lacking}; it has {list(record)}")
    return [record[name] for name in names]


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A file's bytes: the module reads no more than the size that the archive states."""
    if member.file_size > MEMBER_BYTES:
        size = f"{member.file_size} bytes; at most {MEMBER_BYTES} are read"
        raise DataError(f"{archive.filename}: {member.filename} unpacks to {size}")
    return archive.read(member)


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:80] + "..."
