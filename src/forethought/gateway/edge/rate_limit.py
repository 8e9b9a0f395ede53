"""How many requests a key may make a second."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from forethought.gateway.base import Key
from forethought.gateway.problems import Problem

MOST_KEYS = 10_000
"""Keys whose last requests are remembered."""

SLOWEST_RATE = 1 / 86400
"""One request a day: what a rate of 0 or less is taken for."""

LARGEST_BURST = 1_000
"""Most requests at once, whatever the rate."""


class SlidingWindow:
    """Lets through at most `rate` requests in any second (or one in 1/rate seconds, for rates below 1).

    A token bucket that holds a second's worth would let through twice the rate in its first second.

    Args:
        rate: Requests a second.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._most = min(max(1, math.floor(rate)), LARGEST_BURST)
        self._window = self._most / max(rate, SLOWEST_RATE)
        self._times: deque[float] = deque(maxlen=self._most)

    def take(self, now: float) -> float:
        """Count a request made at `now`, seconds; 0 if it may pass, else the seconds until one may."""
        times = self._times
        if len(times) < self._most or (wait := times[0] + self._window - now) <= 0:
            times.append(now)
            return 0.0
        return wait


class RateLimiter:
    """The rate limits of all keys, in this process.

    Args:
        clock: Monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, SlidingWindow] = {}

    def take(self, key: Key) -> None:
        """Count a request.

        Raises:
            Problem: 429, with the wait in `retry-after` (seconds) and `retry-after-ms`.
        """
        rate = key.requests_per_second
        if rate is None:
            return
        window = self._windows.get(key.id)
        if window is None or window.rate != rate:
            window = self._open(key.id, rate)
        if wait := window.take(self._clock()):
            _refuse(rate, wait)

    def _open(self, id: str, rate: float) -> SlidingWindow:
        self._windows.pop(id, None)
        if len(self._windows) >= MOST_KEYS:
            del self._windows[next(iter(self._windows))]
        window = self._windows[id] = SlidingWindow(rate)
        return window


def _refuse(rate: float, wait: float) -> NoReturn:
    raise Problem(
        429,
        f"this key may make {rate:g} requests a second",
        code="rate_limited",
        headers={"retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))},
    )
