"""Group commit: one thread that writes what waits, and wakes its callers when it is on disk."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from forethought.gateway.ledger.connection import Connection, why
from forethought.gateway.ledger.database import Database
from forethought.gateway.ledger.entries import Entry, Work
from forethought.gateway.ledger.errors import LedgerLost
from forethought.gateway.ledger.group import GroupWriter
from forethought.gateway.ledger.records import Closing, Feedback, Opening

log = logging.getLogger(__name__)

MOST = 256
"""Entries of one transaction."""
SWEEP_SECONDS = 60.0
"""Between two looks for reservations that have expired."""
PROBE_SECONDS = 1.0
"""Between two tries to write after one has failed."""


class Writer:
    """Writes entries of one event loop in the order in which they came.

    Args:
        database: To connect to; the writer's connection is its own.
        groups: Writes records within a transaction.
    """

    def __init__(self, database: Database, groups: GroupWriter) -> None:
        self.well = True
        self._database = database
        self._groups = groups
        self._connection: Connection | None = None
        self._queue: SimpleQueue[list[Entry] | None] = SimpleQueue()
        self._arriving: list[Entry] = []
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def submit(self, work: Opening | Closing | Feedback | Work) -> asyncio.Future[Any]:
        """Have something written; what arrives in one turn of the event loop is handed over together.

        Raises:
            LedgerLost: The writer is closed.
        """
        if self._closed:
            raise LedgerLost("the ledger is closed")
        entry = Entry(work, self._loop.create_future())
        if not self._arriving:
            self._loop.call_soon(self._hand_over)
        self._arriving.append(entry)
        return entry.future

    async def close(self) -> None:
        """Write what waits, then end."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.sleep(0)  # callers of the last group are told

    def _hand_over(self) -> None:
        if self._arriving:
            self._queue.put(self._arriving)
            self._arriving = []

    def _run(self) -> None:
        idle = self._loop.create_future()
        due, more = 0.0, True
        while more:
            arrived, more = self._take(PROBE_SECONDS if not self.well else max(0.0, due - time.monotonic()))
            for group in groups_of(arrived):
                self._write(group)
                with suppress(RuntimeError):  # the event loop has ended, and with it whoever waited
                    self._loop.call_soon_threadsafe(_deliver, group)
            if time.monotonic() >= due or (not self.well and not arrived):
                self._write([Entry(self._beat, idle)])
                due = time.monotonic() + SWEEP_SECONDS
        self._drop()

    def _beat(self, connection: Connection) -> None:
        """Give back what has expired, and see whether anything can be written where that was in doubt."""
        self._groups.sweep(connection, time.time())
        if not self.well:
            connection.run("UPDATE schema_version SET version = version")

    def _take(self, seconds: float) -> tuple[list[Entry], bool]:
        """What has arrived, waiting for the first; and whether more may come."""
        arrived: list[Entry] = []
        try:
            batch = self._queue.get(timeout=seconds)
        except Empty:
            return arrived, True
        while batch is not None:
            arrived += batch
            if len(arrived) >= MOST or self._queue.empty():
                return arrived, True
            batch = self._queue.get()
        return arrived, False

    def _write(self, group: Sequence[Entry]) -> None:
        """Write a group; where something is wrong with one entry, each by itself."""
        try:
            self._transact(group)
            self.well = True
        except LedgerLost as error:
            self._fail(group, error)
        except Exception as error:
            if self._connection is not None and self._connection.lost(error):
                if not self._connection.usable():
                    self._drop()
                self._fail(group, LedgerLost(f"{self._database} could not be written: {why(error)}"))
            elif len(group) > 1:
                for entry in group:
                    self._write([entry])
            else:
                group[0].error = LedgerLost(f"an entry could not be written: {why(error)}")

    def _fail(self, group: Sequence[Entry], error: LedgerLost) -> None:
        if self.well:
            log.warning("%s", error)
        self.well = False
        for entry in group:
            entry.error = LedgerLost(str(error))

    def _transact(self, group: Sequence[Entry]) -> None:
        """Write a group in one transaction; once more where the connection had been lost while nobody looked.

        Beginnings alone do not wait for the disk: the money that follows them is told to nobody before the end of
        the request, which waits, and takes them along.
        """
        for again in (False, True):
            if self._connection is None:
                self._connection = self._database.connect()
            connection = self._connection
            try:
                with connection.transaction(durable=not all(isinstance(entry.work, Opening) for entry in group)):
                    self._apply(connection, group)
                return
            except self._database.driver.Error:
                if again or not connection.gone():
                    raise
                self._drop()

    def _apply(self, connection: Connection, group: Sequence[Entry]) -> None:
        for entry in group:
            entry.result = entry.error = None
        first = group[0]
        if isinstance(first.work, Opening | Closing | Feedback):
            self._groups.write(connection, group)
        else:
            first.result = first.work(connection)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def groups_of(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Entries in the transactions that they are written in.

    Work gets its own, and so does an end whose beginning is in the same group.
    """
    group: list[Entry] = []
    begun: set[str] = set()
    for entry in entries:
        record = isinstance(entry.work, Opening | Closing | Feedback)
        if group and (not record or len(group) == MOST or _needs(entry, begun)):
            yield group
            group, begun = [], set()
        if isinstance(entry.work, Opening):
            begun.add(entry.work.id)
        group.append(entry)
        if not record:
            yield group
            group, begun = [], set()
    if group:
        yield group


def _needs(entry: Entry, begun: set[str]) -> bool:
    work = entry.work
    if isinstance(work, Closing):
        return work.id in begun
    return isinstance(work, Feedback) and work.decision in begun


def _deliver(group: Sequence[Entry]) -> None:
    for entry in group:
        if entry.future.done():  # its caller was cancelled
            continue
        if entry.error is None:
            entry.future.set_result(entry.result)
        else:
            entry.future.set_exception(entry.error)
