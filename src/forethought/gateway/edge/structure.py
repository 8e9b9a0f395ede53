"""What a body is made of besides text, bounded before it is parsed.

Long text costs a parser next to nothing, many small parts cost it microseconds and a hundred bytes each: a few
megabytes of `[],[],...` would keep every other client waiting for seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from forethought.gateway.problems import Problem

MOST_PARTS = 350_000
"""Commas, colons, two for every string, `PER_CONTAINER` for every array and object: what each costs to make. Room for
300,000 tokens to be embedded, or for 5,000 turns with tool calls; parsing so many takes less than 50 ms and 20 MB."""

PER_CONTAINER = 6
"""Parts that an array or object counts as."""

MOST_OUTSIDE = 4 * 2**20
"""Bytes outside strings: a number of thousands of digits is one part, and takes as long as a thousand."""

MOST_ESCAPES = 1_500_000
"""Backslashes. Each stands for a character at least, and no model reads a text of so many."""


def keys_told(raw: bytes) -> int:
    """How many keys the objects of a body tell, repeated ones included; exact where the body is JSON.

    Raises:
        Problem: 400, too many parts to be parsed.
    """
    plain = _without_escaped_quotes(raw)
    quotes = plain.count(b'"')
    if quotes > MOST_PARTS:
        raise _too_complex()
    outside = b"".join(plain.split(b'"')[::2])
    if len(outside) > MOST_OUTSIDE:
        raise _too_complex()
    keys = outside.count(b":")
    parts = quotes + keys + outside.count(b",") + PER_CONTAINER * (outside.count(b"[") + outside.count(b"{"))
    if parts > MOST_PARTS:
        raise _too_complex()
    return keys


def keys_kept(value: dict[str, Any] | list[Any]) -> int:
    """How many keys the objects of a parsed body hold; fewer than were told where one stood twice.

    Raises:
        OverflowError: A number became infinite, as 1e400 does.
    """
    items: Iterable[Any] = value.values() if type(value) is dict else value
    kept = len(value) if type(value) is dict else 0
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is float:
            if item - item != 0.0:
                raise OverflowError
        elif item and (kind is dict or kind is list):
            kept += keys_kept(item)  # the parser limits the depth
    return kept


def _without_escaped_quotes(raw: bytes) -> bytes:
    """A body whose every `"` begins or ends a string."""
    if b"\\" not in raw:
        return raw
    if raw.count(b"\\") > MOST_ESCAPES:
        raise _too_complex()
    return raw.replace(b"\\\\", b"__").replace(b'\\"', b"__")


def _too_complex() -> Problem:
    return Problem(
        400,
        "the body has too many parts: arrays, objects, keys, values and escapes; long text passes, much structure does "
        "not",
        code="too_complex",
    )
