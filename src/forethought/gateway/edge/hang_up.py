"""Hearing at once that a client has hung up, without a task that waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

EXTENSION = "forethought.hang_up"
"""The ASGI extension that holds a request's `HangUp`, as its `connection`."""


class HangUp:
    """Whether one connection was lost, and who is to be told: the request that is answered on it."""

    __slots__ = ("_lost", "_tell")

    def __init__(self) -> None:
        self._lost = False
        self._tell: Callable[[], object] | None = None

    def watch(self, tell: Callable[[], object]) -> None:
        """Call `tell` when the client hangs up, at once if it has."""
        self._tell = tell
        if self._lost:
            tell()

    def forget(self) -> None:
        """Tell nobody any more."""
        self._tell = None

    def lost(self) -> None:
        """The connection was lost."""
        self._lost = True
        if self._tell is not None:
            self._tell()


def hang_up_of(scope: Mapping[str, Any]) -> HangUp:
    """The `HangUp` of a request's connection; one that never happens where the server has none."""
    extension = scope.get("extensions", {}).get(EXTENSION)
    return HangUp() if extension is None else extension["connection"]
