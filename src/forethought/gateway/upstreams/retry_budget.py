"""The retry budget: retries stay a share of the traffic, so that an upstream in trouble is not buried in them."""

from __future__ import annotations

_MOST_SAVED = 20.0
"""Retries that quiet times can save up: enough for a hiccup, not for a storm."""


class RetryBudget:
    """A token bucket: a request puts a share of a retry in, a retry takes one out.

    The first retry is lent, and paid back by the requests that follow, so that a single request may be tried
    again and yet at no time there were more retries than `max(1, share * requests)`.

    Args:
        share: Retries per request, in [0, 1]; 0 forbids them.
    """

    __slots__ = ("_debt", "_saved", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = self._debt = 1.0 if share > 0 else 0.0

    def deposit(self) -> None:
        """A request was sent that is no retry."""
        if self._debt > 0:
            self._debt -= self._share
        else:
            self._saved = min(_MOST_SAVED, self._saved + self._share)

    def take(self) -> bool:
        """Whether one more retry may be sent; if so, it is counted."""
        if self._saved < 1 - 1e-9:  # sums of 0.2 fall a hair short of 1
            return False
        self._saved -= 1
        return True
