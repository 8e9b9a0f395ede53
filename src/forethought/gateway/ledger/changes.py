"""What is changed in a ledger besides records: keys made and ended, decisions forgotten."""

from __future__ import annotations

from forethought.gateway.base import Key
from forethought.gateway.ledger.connection import Connection
from forethought.gateway.ledger.statements import Statements


class Changes:
    """Writes over a connection that is handed in, within a transaction.

    Args:
        statements: For the database.
    """

    def __init__(self, statements: Statements) -> None:
        self._sql = statements

    def create_key(self, connection: Connection, key: Key, digest: bytes, now: float) -> None:
        """Record a new key."""
        limits = (key.daily_budget, key.requests_per_second, key.dear_share)
        connection.run(self._sql.insert_key, (key.id, digest, key.name, key.scope, *limits, now, None))

    def revoke_key(self, connection: Connection, id: str, now: float) -> bool:
        """End a key that lives."""
        return connection.run(self._sql.revoke_key, (now, id)) > 0

    def forget_before(self, connection: Connection, at: float) -> int:
        """Delete the oldest decisions before a Unix time; how many, `statements.AT_ONCE` at most."""
        return self._forget(connection, connection.rows(self._sql.decisions_before, (at,)))

    def forget_key(self, connection: Connection, id: str) -> int:
        """Delete decisions of a key; how many, `statements.AT_ONCE` at most."""
        return self._forget(connection, connection.rows(self._sql.decisions_of_key, (id,)))

    def _forget(self, connection: Connection, found: list[tuple[str]]) -> int:
        """Delete decisions with all that belongs to them, but for money that is held for those under way."""
        if found:
            ids = [id for (id,) in found]
            connection.among(self._sql.lock_decisions, ids)
            for statement in self._sql.forget:
                connection.among(statement, ids)
        return len(found)
