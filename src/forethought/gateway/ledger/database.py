"""Where a ledger is kept: what its URL means, and how to connect to it."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from forethought.errors import ConfigError
from forethought.gateway.ledger.connection import Connection, why
from forethought.gateway.ledger.errors import LedgerLost

BUSY_SECONDS = 5.0
"""How long a connection waits for another process's transaction, or for a server's answer to a connection."""

_STYLES: dict[str, tuple[str, str]] = {"sqlite": ("pysqlite", "qmark"), "postgresql": ("psycopg", "format")}
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-16384",
    "PRAGMA wal_autocheckpoint=2000",
)
_SETTINGS = ("SET lock_timeout = '5s'", "SET idle_in_transaction_session_timeout = '30s'")
"""So that a process that hangs in a transaction stops the others for a while only."""


class Database:
    """A SQLite file or a PostgreSQL database.

    Args:
        url: As SQLAlchemy writes it: `sqlite:///path` or `postgresql+psycopg://user@host/name`.

    Raises:
        ConfigError: Another kind of URL, no file in it, or a missing driver.
    """

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self.backend = self.url.get_backend_name()
        self.driver = _driver(self.url)
        style: Any = _STYLES[self.backend][1]
        self.dialect: Dialect = self.url.get_dialect()(dbapi=self.driver, paramstyle=style)  # type: ignore[call-arg]

    def connect(self) -> Connection:
        """A new connection.

        Raises:
            LedgerLost: Nobody answers, no permission, or not a database.
        """
        try:
            return self._connect_postgresql() if self.file is None else self._connect_sqlite(self.file)
        except self.driver.Error as error:
            raise LedgerLost(f"no connection to {self}: {why(error)}") from None
        except OSError as error:
            raise LedgerLost(f"no connection to {self}: {error.strerror}") from None

    def __str__(self) -> str:
        if self.file is not None:
            return f"the ledger {self.file.absolute()}"
        asked = self.url.query
        host, port = self.url.host or asked.get("host", "localhost"), self.url.port or asked.get("port", 5432)
        return f"the ledger {self.url.database} at {host}:{port}"

    @property
    def file(self) -> Path | None:
        """The file of SQLite; None for a database of a server."""
        return Path(str(self.url.database)) if self.backend == "sqlite" else None

    def _connect_sqlite(self, path: Path) -> Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made for its owner alone, as SQLite's own files then are; and never opened here where it exists: closing any
        # descriptor of the file drops SQLite's locks on it, and the next process to leave would delete the log.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        raw = self.dialect.connect(
            str(path), timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection = Connection(raw, self.backend, self.driver)
        try:
            for pragma in _PRAGMAS:
                _patiently(connection, pragma)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_postgresql(self) -> Connection:
        words, options = self.dialect.create_connect_args(self.url)
        limits = {"connect_timeout": int(BUSY_SECONDS), "tcp_user_timeout": int(2000 * BUSY_SECONDS)}
        raw = self.dialect.connect(*words, **{**limits, **options}, autocommit=True, prepare_threshold=2)
        connection = Connection(raw, self.backend, self.driver)
        for setting in _SETTINGS:
            connection.run(setting)
        return connection


def _patiently(connection: Connection, pragma: str) -> None:
    """Run a pragma; the change to WAL does not wait for a lock by itself."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.rows(pragma)
            return
        except connection.driver.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(f"ledger must be a URL such as sqlite:///ledger.sqlite, got {shown(url)!r}") from None
    kind, _, driver = parsed.drivername.partition("+")
    if kind not in _STYLES or driver not in ("", _STYLES[kind][0]):
        raise ConfigError(f"ledger must be sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME, got {shown(url)!r}")
    if kind == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigError(
            f"ledger must name a file, such as sqlite:///ledger.sqlite, got {shown(url)!r}: it must outlive the process"
        )
    return parsed.set(drivername=f"{kind}+{_STYLES[kind][0]}")


def shown(url: str) -> str:
    """What was given as a ledger's URL, without the user and what may be a password in it."""
    named = re.sub(r"(?:(?<=//)|^(?!.*//)).*@", "***@", url, count=1, flags=re.DOTALL)
    return re.sub(r"(password=)[^&\s]*", r"\1***", named, flags=re.IGNORECASE)


def _driver(url: URL) -> Any:
    try:
        return url.get_dialect().import_dbapi()
    except (ImportError, NoSuchModuleError) as error:
        if url.get_backend_name() == "postgresql":
            raise ConfigError("a ledger in PostgreSQL needs psycopg: pip install 'forethought[postgres]'") from None
        raise ConfigError(f"{url.drivername}:// needs a driver that is not installed: {error}") from None
