"""Looks things up beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from forethought.gateway.ledger.connection import Connection, why
from forethought.gateway.ledger.database import Database
from forethought.gateway.ledger.errors import LedgerLost

T = TypeVar("T")

THREADS = 2
"""Threads that read, each over a connection of its own."""


class Readers:
    """A few threads with a connection each.

    Args:
        database: To connect to.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ledger-reader")
        self._own = threading.local()
        self._all: set[Connection] = set()

    async def read(self, lookup: Callable[[Connection], T]) -> T:
        """What a look-up finds.

        Raises:
            LedgerLost: It could not be read.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, lookup)
        except RuntimeError:
            raise LedgerLost("the ledger is closed") from None

    async def close(self) -> None:
        """Wait for what is being read, then disconnect."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._all:
            connection.close()
        self._all.clear()

    def _read(self, lookup: Callable[[Connection], T]) -> T:
        """Look something up; once more where the connection had been lost while nobody looked."""
        connection = self._connection()
        try:
            return lookup(connection)
        except self._database.driver.Error as error:
            if not connection.gone():
                raise self._lost(connection, error) from None
            self._drop(connection)
        connection = self._connection()
        try:
            return lookup(connection)
        except self._database.driver.Error as error:
            raise self._lost(connection, error) from None

    def _lost(self, connection: Connection, error: Exception) -> LedgerLost:
        if connection.lost(error):
            self._drop(connection)
        return LedgerLost(f"{self._database} could not be read: {why(error)}")

    def _connection(self) -> Connection:
        found: Connection | None = getattr(self._own, "connection", None)
        if found is None:
            found = self._own.connection = self._database.connect()
            self._all.add(found)
        return found

    def _drop(self, connection: Connection) -> None:
        self._own.connection = None
        self._all.discard(connection)
        connection.close()
