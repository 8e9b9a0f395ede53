"""The circuit breaker: an upstream that fails again and again is left alone, then probed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]
"""Asked as usual; left alone; asked by one probe whose outcome is awaited."""

_Outcome = Literal["success", "failure", "limited", "unknown"]


class CircuitBreaker:
    """Opens after failures in a row, and lets one probe through each time it has rested.

    A request that was let through before it opened no longer counts once it is open.

    Args:
        failures: In a row, to open.
        rest: Seconds from a failure to the next probe.
        clock: Seconds, never going back.
    """

    __slots__ = ("_clock", "_failures", "_opened", "_probe", "_rest", "_row")

    def __init__(self, failures: int, rest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._rest = rest
        self._clock = clock
        self._row = 0
        self._opened: float | None = None
        self._probe: Permit | None = None

    @property
    def state(self) -> State:
        """What it does with the next request."""
        if self._opened is None:
            return "closed"
        return "open" if self._probe is None else "half-open"

    @property
    def resting(self) -> float:
        """Seconds until the next request may be let through, at most; 0 where it may be now."""
        if self._opened is None:
            return 0.0
        return self._rest if self._probe else max(0.0, self._opened + self._rest - self._clock())

    def acquire(self) -> Permit | None:
        """Leave to send one request, whose outcome must be told to the permit; None while it rests."""
        if self._opened is None:
            return Permit(self)
        if self.resting > 0:
            return None
        self._probe = Permit(self)
        return self._probe

    def _close(self) -> None:
        self._row, self._opened, self._probe = 0, None, None

    def _open(self) -> None:
        self._opened, self._probe = self._clock(), None

    def _settle(self, permit: Permit, outcome: _Outcome) -> None:
        if self._opened is None:
            if outcome == "success":
                self._row = 0
            elif outcome == "failure":
                self._row += 1
                if self._row >= self._failures:
                    self._open()
        elif permit is self._probe:
            if outcome == "success":
                self._close()
            elif outcome == "unknown":
                self._probe = None
            else:
                self._open()


class Permit:
    """Leave to send one request. Only the first outcome that it is told counts."""

    __slots__ = ("_breaker", "_told")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._told = False

    def began(self) -> None:
        """The first of the answer has come: enough for a probe, which need not wait for the end of a stream."""
        if self._breaker._probe is self:
            self._breaker._close()

    def success(self) -> None:
        """The upstream did what it should, be it to refuse a request that is wrong."""
        self._settle("success")

    def failure(self) -> None:
        """The upstream failed."""
        self._settle("failure")

    def limited(self) -> None:
        """The upstream is well but takes no more for a time that it told; a probe has not succeeded then."""
        self._settle("limited")

    def release(self) -> None:
        """The request was given up before its outcome was known; another may be the probe."""
        self._settle("unknown")

    def _settle(self, outcome: _Outcome) -> None:
        if not self._told:
            self._told = True
            self._breaker._settle(self, outcome)
