"""How long to wait before an upstream is asked again."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

_SPACING = 0.02
"""Seconds that each retry already waiting for an upstream adds to the window that the next is drawn from."""
_LATE = 0.1
"""Share by which a stated wait may be overrun, so that those who were told the same do not come back as one."""


def full_jitter(tries: int, base: float, cap: float, waiting: int = 0) -> float:
    """Seconds to wait, drawn evenly from a window that doubles with every try.

    The more retries wait already, the wider the window: clients that failed together do not come back together.

    Args:
        tries: Requests that failed so far, from 1.
        base: Longest wait before the second try, seconds.
        cap: Longest wait of all, seconds.
        waiting: Retries that wait for the same upstream now.
    """
    return random.uniform(0, min(cap, base * 2 ** (tries - 1) + _SPACING * waiting))


def no_sooner(asked: float) -> float:
    """Seconds to wait where an upstream asked for so many: never fewer, and a tenth more at most."""
    return asked * random.uniform(1, 1 + _LATE)


def read_retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After`, given as a number or a date (RFC 9110, section 10.2.3); None if it says nothing."""
    if value is None:
        return None
    try:
        seconds = float(value)
        return max(0.0, seconds) if isfinite(seconds) else None
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
