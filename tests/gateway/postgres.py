"""A PostgreSQL server of one's own for the length of a test run: Debian's binaries, a temporary folder, no password."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

SETTINGS = ("fsync=off", "listen_addresses=", "max_connections=60", "shared_buffers=32MB", "log_min_messages=panic")
"""What is durable is promised by SQLite's tests and by PostgreSQL itself; here it is only told to commit."""


class Server:
    """A server over a Unix socket in its own folder.

    Args:
        binaries: Folder of `initdb` and `postgres`.
        folder: Where everything lies; owned by the user that the server runs as.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.who = _unprivileged()

    def prepare(self) -> None:
        """Make an empty cluster."""
        if self.who:
            shutil.chown(self.folder, self.who["user"], self.who["group"])
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "forethought", "-A", "trust", "-N", "-E", "UTF8")

    def start(self) -> None:
        """Run, and wait until connections are taken."""
        options = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={self.folder}"))
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """End at once, with every connection."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def create_database(self) -> str:
        """URL of a new, empty database."""
        name = f"ledger_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://forethought@/{name}?host={self.folder}"

    def connect(self, name: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of the tests' own."""
        return psycopg.connect(host=str(self.folder), user="forethought", dbname=name, autocommit=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **self.who
        )
        assert done.returncode == 0, done.stderr


def _unprivileged() -> dict[str, Any]:
    """Who PostgreSQL runs as, since it refuses root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def find_binaries() -> Path | None:
    """Debian's newest `initdb`, or the one on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3].split(".")[0]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def running() -> Iterator[Server]:
    """A server until the context ends; without binaries the test is skipped, or fails where `CI` is set."""
    binaries = find_binaries()
    if binaries is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        server = Server(binaries, Path(folder))
        server.prepare()
        server.start()
        try:
            yield server
        finally:
            server.stop()
