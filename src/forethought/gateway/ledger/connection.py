"""One connection to a ledger's database, with what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pydantic_core import to_json

from forethought.gateway.ledger.statements import Among


class Connection:
    """Runs SQL on one driver connection that commits by itself outside `transaction`.

    SQLAlchemy makes the statements; they run on the driver, because what lies between costs more than SQLite itself.

    Args:
        raw: Of the driver, in autocommit mode.
        backend: `sqlite` or `postgresql`.
        driver: The module that made `raw`: `sqlite3` or `psycopg`.
    """

    def __init__(self, raw: Any, backend: str, driver: Any) -> None:
        self.raw = raw
        self.backend = backend
        self.driver = driver
        self._cursor = raw.cursor()
        self._durable = True
        self._in_doubt = False

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        found: list[tuple[Any, ...]] = self._cursor.execute(sql, values).fetchall()
        return found

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it changed."""
        return int(self._cursor.execute(sql, values).rowcount)

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row."""
        if len(rows) == 1:
            self._cursor.execute(sql, rows[0])
        elif rows:
            self._cursor.executemany(sql, rows)

    def among(self, statement: Among, names: Sequence[str], before: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement about some names, of which there is one at least; `before` are its other values."""
        if len(names) == 1:
            done = self._cursor.execute(statement.one, (*before, names[0]))
        else:
            several = to_json(names).decode() if self.backend == "sqlite" else list(names)
            done = self._cursor.execute(statement.several, (*before, several))
        return done.fetchall() if done.description else []

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """Commit what is done within, or nothing of it. SQLite is locked for other writers from the start.

        Args:
            durable: Whether SQLite waits for the disk. What it does not wait for survives the end of this process
                all the same and is seen by others at once; a loss of power may undo it until the next commit that
                waits. PostgreSQL, which can end without this process, always waits.
        """
        self._in_doubt = False
        self._begin(durable)
        try:
            yield
            self._in_doubt = True
            self._cursor.execute("COMMIT")
            self._in_doubt = False
        except BaseException:
            with suppress(self.driver.Error):
                self._cursor.execute("ROLLBACK")
            raise

    def _begin(self, durable: bool) -> None:
        if self.backend == "postgresql":
            self._cursor.execute("BEGIN")
            return
        if durable is not self._durable:
            self._cursor.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._cursor.execute("BEGIN IMMEDIATE")

    def lost(self, error: BaseException) -> bool:
        """Whether an error says that the database cannot be used, rather than that a value is wrong."""
        if isinstance(error, self.driver.OperationalError):
            return getattr(error, "sqlite_errorname", None) != "SQLITE_ERROR" and not self.yielded(error)
        if isinstance(error, self.driver.InterfaceError):
            return self.backend == "postgresql"
        return type(error) is self.driver.DatabaseError

    @staticmethod
    def yielded(error: BaseException) -> bool:
        """Whether another transaction was preferred, so that the same may succeed at once."""
        return (getattr(error, "sqlstate", None) or "").startswith("40")

    def gone(self) -> bool:
        """Whether the server or the network ended this connection before it was asked to commit."""
        return not self.usable() and not self._in_doubt

    def usable(self) -> bool:
        """Whether another transaction can begin; a SQLite file on a full disk stays open, or it could not be read."""
        return not (self.raw.in_transaction if self.backend == "sqlite" else self.raw.closed)

    def close(self) -> None:
        """Disconnect; what is not committed is undone."""
        with suppress(self.driver.Error):
            self.raw.close()


def why(error: BaseException) -> str:
    """What an error may say aloud: its class and code, since its message can quote a prompt."""
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
