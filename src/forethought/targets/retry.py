"""When to ask an endpoint again, and how long to wait before."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from forethought.errors import ConfigError

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retry:
    """A bounded number of attempts with exponential backoff and full jitter.

    Attributes:
        attempts: Most requests for one answer, the first included.
        base: Longest wait before the second attempt, seconds; it doubles each time.
        cap: Longest wait of all, seconds; a `Retry-After` beyond it ends the attempts.
    """

    attempts: int = 4
    base: float = 0.5
    cap: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.base < 0 or self.cap < 0:
            raise ConfigError(f"attempts must be >= 1, base and cap >= 0 seconds, got {self}")

    def wait(self, attempt: int, status: int | None, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 1) failed; None to give up.

        Args:
            attempt: How many requests were made.
            status: HTTP status, None when no response came.
            headers: Of the response; `Retry-After` is honoured.
        """
        if attempt >= self.attempts or (status is not None and status not in _TRANSIENT):
            return None
        asked = _retry_after(headers.get("retry-after"))
        if asked is None:
            return random.uniform(0, min(self.cap, self.base * 2 ** (attempt - 1)))
        return asked if asked <= self.cap else None


def _retry_after(value: str | None) -> float | None:
    """Seconds asked for, given as a number or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
