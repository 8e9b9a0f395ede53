"""What waits to be written, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from forethought.gateway.ledger.connection import Connection
from forethought.gateway.ledger.records import Closing, Feedback, Opening

Work = Callable[[Connection], Any]
"""Writes in a transaction of its own and returns what its caller is told."""


@dataclass(slots=True, eq=False)
class Entry:
    """One thing to write.

    Attributes:
        work: What.
        future: Of the event loop, who waits for it.
        result: What it is told.
        error: What it is told instead.
    """

    work: Opening | Closing | Feedback | Work
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None
