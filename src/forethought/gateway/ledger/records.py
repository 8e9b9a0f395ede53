"""What is written down about a request: before it is acted on, and when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from forethought.gateway.base import Attempt, Ending, Key, Plan


@dataclass(frozen=True, slots=True)
class Opening:
    """A decision, before any money is spent on it.

    Attributes:
        id: Of the request.
        at: Unix time.
        key: Who asks; its budget and quota are checked in the transaction that records the decision.
        path: What was called.
        model: The model asked for.
        stream: Whether the answer is streamed.
        plan: What is to be done.
        reserve: Nanodollars that it may cost at most.
        dear: Whether the chosen target counts towards the key's quota of dear ones.
        text: The routed part of the prompt, only where its owner opted in.
    """

    id: str
    at: float
    key: Key
    path: str
    model: str
    stream: bool
    plan: Plan
    reserve: int = 0
    dear: bool = False
    text: str | None = None

    @property
    def day(self) -> str:
        """UTC day, `YYYY-MM-DD`, whose budget and quota it counts in."""
        return day_of(self.at)


@dataclass(frozen=True, slots=True)
class Closing:
    """How a request ended.

    Attributes:
        id: Of the request.
        at: Unix time.
        key: Who asked.
        ending: How it ended.
        status: HTTP status that the client was given.
        target: Who answered; None where nobody did.
        attempts: Every request to an upstream.
        seconds: From the request's arrival to its end.
        admitted: Day whose budget was charged, `YYYY-MM-DD` (UTC), as `Opening.day` says.
    """

    id: str
    at: float
    key: Key
    ending: Ending
    status: int
    target: str | None
    attempts: tuple[Attempt, ...]
    seconds: float
    admitted: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What came of a decision, told afterwards.

    Attributes:
        decision: Id of the decision.
        success: In [0, 1].
        source: Who says so, such as `user` or `grader:math`; a second word of one source replaces its first.
        at: Unix time.
    """

    decision: str
    success: float
    source: str
    at: float


def day_of(at: float) -> str:
    """UTC day of a Unix time, as `YYYY-MM-DD`."""
    return _day(int(at // 86400))


@lru_cache(16)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86400, UTC).strftime("%Y-%m-%d")
