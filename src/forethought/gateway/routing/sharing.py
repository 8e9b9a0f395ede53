"""Work that is done once for all who ask for it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    """A piece of work under way, and how many wait for it."""

    work: Future[T]
    told: asyncio.Future[T]
    waiting: int = 0


class Shared(Generic[T]):
    """Runs work in threads, equal work once.

    Work that everybody has given up waiting for before it began is not begun: behind a slow encoder, a queue of
    requests that were long answered otherwise would keep all later ones waiting.

    Args:
        on_result: Told every result in the event loop, wanted still or not.
    """

    def __init__(self, on_result: Callable[[T], None]) -> None:
        self._on_result = on_result
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def run(self, key: Hashable, start: Callable[[], Future[T]]) -> T:
        """The result of some work, whose exceptions all waiters get.

        Args:
            key: Equal for equal work.
            start: Puts it in a queue.
        """
        flight = self._flights.get(key)
        if flight is None:
            work = start()
            flight = self._flights[key] = _Flight(work, asyncio.wrap_future(work))
            flight.told.add_done_callback(lambda told: self._land(key, told))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.told)
        finally:
            flight.waiting -= 1
            if not flight.waiting and flight.work.cancel():
                self._flights.pop(key, None)

    def _land(self, key: Hashable, told: asyncio.Future[T]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.told is told:
            del self._flights[key]
        if not told.cancelled() and told.exception() is None:
            self._on_result(told.result())
