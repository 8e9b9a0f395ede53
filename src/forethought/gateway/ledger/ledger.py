"""The ledger: every decision, outcome, token and cost, durable before it is acknowledged."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from forethought.gateway.base import Key
from forethought.gateway.ledger.changes import Changes
from forethought.gateway.ledger.connection import why
from forethought.gateway.ledger.database import Database
from forethought.gateway.ledger.entries import Work
from forethought.gateway.ledger.errors import LedgerLost
from forethought.gateway.ledger.group import GroupWriter
from forethought.gateway.ledger.lookups import Lookups
from forethought.gateway.ledger.migrations import migrate
from forethought.gateway.ledger.readers import Readers
from forethought.gateway.ledger.records import Closing, Feedback, Opening
from forethought.gateway.ledger.statements import AT_ONCE, Statements
from forethought.gateway.ledger.writer import Writer


class Ledger:
    """Everything that must outlive the process, in SQLite or PostgreSQL.

    Writes are put together in groups: one transaction commits what is waiting, and each caller returns once its
    own lines are committed. Several processes may share one ledger; a budget holds over all of them.
    A caller that is cancelled while it waits does not undo what it had written.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://user@host/name`.
        reserve_seconds: After which a reservation that nobody settled is given back.

    Raises:
        ConfigError: A URL that is neither SQLite's nor PostgreSQL's, or a missing driver.

    Example:
        >>> ledger = Ledger("sqlite:///ledger.sqlite")  # doctest: +SKIP
        >>> await ledger.start()  # doctest: +SKIP
    """

    def __init__(self, url: str, *, reserve_seconds: float = 3600.0) -> None:
        self._database = Database(url)
        statements = Statements(self._database.dialect)
        self._groups = GroupWriter(statements, reserve_seconds)
        self._lookups = Lookups(statements)
        self._changes = Changes(statements)
        self._readers: Readers | None = None
        self._writer: Writer | None = None

    async def start(self) -> None:
        """Connect, migrate, and begin to write.

        Raises:
            ArtifactError: Written by a newer version, or altered; `LedgerLost` where nobody answers.
        """
        await asyncio.to_thread(self._prepare)
        self._readers = Readers(self._database)
        self._writer = Writer(self._database, self._groups)

    async def close(self) -> None:
        """Write what is waiting, then disconnect."""
        if self._writer is not None:
            await self._writer.close()
        if self._readers is not None:
            await self._readers.close()

    def admit(self, opening: Opening) -> asyncio.Future[None]:
        """Record a decision and reserve what it may cost, in one transaction.

        Whether or not the future is awaited, which raises:

        - BudgetSpent: the key's budget of the day does not allow it; nothing is recorded.
        - QuotaSpent: the key's share of dear targets does not allow it; nothing is recorded.
        - LedgerLost: it could not be written.

        Raises:
            LedgerLost: The ledger is closed.
        """
        return self._writing.submit(opening)

    def settle(self, closing: Closing) -> asyncio.Future[None]:
        """Record how a request ended, give its reservation back and charge what it cost, in one transaction.

        It is written whether or not the future is awaited, which raises LedgerLost where it could not be.

        Raises:
            LedgerLost: The ledger is closed.
        """
        return self._writing.submit(closing)

    async def feedback(self, feedback: Feedback) -> bool:
        """Record an outcome; False where there is no such decision."""
        known: bool = await self._writing.submit(feedback)
        return known

    async def decision(self, id: str) -> dict[str, Any] | None:
        """All that is known of a decision, as plain data with its attempts and outcomes; None if unknown."""
        return await self._reading.read(partial(self._lookups.decision, id=id))

    async def kept_target(self, conversation: str, since: float) -> str | None:
        """Target that last answered in a conversation since a Unix time, by whatever process."""
        return await self._reading.read(partial(self._lookups.kept_target, conversation=conversation, since=since))

    async def key(self, id: str) -> tuple[Key, bytes] | None:
        """A key that was not revoked, with the SHA-256 of its secret."""
        return await self._reading.read(partial(self._lookups.key, id=id))

    async def any_key(self) -> bool:
        """Whether a key was ever made."""
        return await self._reading.read(self._lookups.any_key)

    async def create_key(self, key: Key, digest: bytes) -> None:
        """Record a new key."""
        await self._writing.submit(partial(self._changes.create_key, key=key, digest=digest, now=time.time()))

    async def keys(self) -> list[dict[str, Any]]:
        """Every key with its limits, what it spent today, and when it was made and revoked; no digests."""
        return await self._reading.read(partial(self._lookups.keys, now=time.time()))

    async def revoke_key(self, id: str) -> bool:
        """End a key; False where there is none that lives."""
        ended: bool = await self._writing.submit(partial(self._changes.revoke_key, id=id, now=time.time()))
        return ended

    async def forget_before(self, at: float) -> int:
        """Delete decisions older than a Unix time with all that belongs to them; how many."""
        return await self._repeatedly(partial(self._changes.forget_before, at=at))

    async def forget_key(self, id: str) -> int:
        """Delete every decision of a key with all that belongs to them; how many."""
        return await self._repeatedly(partial(self._changes.forget_key, id=id))

    def ready(self) -> bool:
        """Whether the last write was well."""
        return self._writer is not None and self._writer.well

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            raise LedgerLost("the ledger has not been started")
        return self._writer

    @property
    def _reading(self) -> Readers:
        if self._readers is None:
            raise LedgerLost("the ledger has not been started")
        return self._readers

    async def _repeatedly(self, work: Work) -> int:
        total = count = await self._writing.submit(work)
        while count == AT_ONCE:
            count = await self._writing.submit(work)
            total += count
        return int(total)

    def _prepare(self) -> None:
        connection = self._database.connect()
        try:
            migrate(connection)
        except self._database.driver.Error as error:
            raise LedgerLost(f"{self._database} could not be migrated: {why(error)}") from None
        finally:
            connection.close()
