"""What is looked up in a ledger."""

from __future__ import annotations

from typing import Any

from forethought.gateway.base import Key
from forethought.gateway.ledger.connection import Connection
from forethought.gateway.ledger.records import day_of
from forethought.gateway.ledger.rows import decision_data, key_of, storable
from forethought.gateway.ledger.statements import Statements


class Lookups:
    """Reads over a connection that is handed in.

    Args:
        statements: For the database.
    """

    def __init__(self, statements: Statements) -> None:
        self._sql = statements

    def decision(self, connection: Connection, id: str) -> dict[str, Any] | None:
        """A decision with its attempts and outcomes."""
        if not (found := connection.rows(self._sql.decision, (storable(id),))):
            return None
        tried, told = connection.rows(self._sql.attempts, (id,)), connection.rows(self._sql.outcomes, (id,))
        return decision_data(found[0], tried, told)

    def kept_target(self, connection: Connection, conversation: str, since: float) -> str | None:
        """Target that answered last in a conversation, since a Unix time."""
        found = connection.rows(self._sql.kept_target, (storable(conversation), since))
        return str(found[0][0]) if found else None

    def key(self, connection: Connection, id: str) -> tuple[Key, bytes] | None:
        """A key that lives, with its digest."""
        found = connection.rows(self._sql.key, (storable(id),))
        return key_of(found[0]) if found else None

    def any_key(self, connection: Connection) -> bool:
        """Whether there is a key, revoked or not."""
        return bool(connection.rows(self._sql.any_key))

    def keys(self, connection: Connection, now: float) -> list[dict[str, Any]]:
        """Every key in the order in which they were made, with what it spent on the day of a Unix time."""
        names = ("id", "name", "scope", "daily_budget", "requests_per_second", "dear_share", "created_at", "revoked_at")
        counters = ("spent", "reserved", "requests")
        return [
            dict(zip((*names, *counters), (row[0], *row[2:-3], *(count or 0 for count in row[-3:])), strict=True))
            for row in connection.rows(self._sql.keys, (day_of(now),))
        ]
