"""Brings a ledger to the newest version, one numbered step and one transaction after the other.

A step is a module `m<number>_<what>` whose `STATEMENTS` are SQL; `{blob}` and `{clustered}` stand for what SQLite and
PostgreSQL call differently.
"""

from __future__ import annotations

from collections.abc import Sequence

from forethought.errors import ArtifactError
from forethought.gateway.ledger.connection import Connection, why
from forethought.gateway.ledger.migrations import m001_first
from forethought.gateway.ledger.schema import metadata

STEPS: tuple[Sequence[str], ...] = (m001_first.STATEMENTS,)
"""The statements of version 1, 2, ..."""

_WORDS = {
    "sqlite": {"blob": "BLOB", "clustered": "WITHOUT ROWID"},
    "postgresql": {"blob": "BYTEA", "clustered": ""},
}
_LOCK = 0x666F7265
"""Any number that only this migration locks under."""


def migrate(connection: Connection, steps: Sequence[Sequence[str]] = STEPS) -> int:
    """Apply the steps that a ledger lacks; of several processes that start together, one applies each.

    Returns:
        The version reached.

    Raises:
        ArtifactError: Of a newer version, or without a table or column that its version has.
    """
    while (version := _step(connection, steps)) < len(steps):
        pass
    if steps is STEPS:
        _check(connection)
    return version


def _step(connection: Connection, steps: Sequence[Sequence[str]]) -> int:
    with connection.transaction():
        if connection.backend == "postgresql":
            connection.run("SET LOCAL lock_timeout = 0")
            connection.run("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)")
        [(version,)] = connection.rows("SELECT coalesce(max(version), 0) FROM schema_version")
        if version > len(steps):
            raise ArtifactError(f"the ledger is of version {version}; this program knows up to {len(steps)}")
        if version < len(steps):
            for statement in steps[version]:
                connection.run(statement.format(**_WORDS[connection.backend]))
            connection.run(f"INSERT INTO schema_version (version) VALUES ({version + 1})")  # noqa: S608
            version += 1
    return int(version)


def _check(connection: Connection) -> None:
    """Refuse a ledger that lacks something, before a request finds out."""
    for table in metadata.tables.values():
        columns = ", ".join(f'{table.name}."{column.name}"' for column in table.columns)
        try:
            connection.rows(f"SELECT {columns} FROM {table.name} LIMIT 0")  # noqa: S608
        except connection.driver.Error as error:
            if connection.lost(error):
                raise
            raise ArtifactError(f"the ledger's table {table.name} was altered: {why(error)}") from None
