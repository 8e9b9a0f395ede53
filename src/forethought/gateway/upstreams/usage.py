"""What an answer used: as its upstream tells, or as it can be guessed where it does not."""

from __future__ import annotations

import re
from typing import Any

from forethought.targets.streaming import Usage

_MOST = 2**40
"""Tokens beyond which a count is nonsense rather than a bill."""
_CHARACTERS_PER_TOKEN = 4
_BINARY = re.compile(rb'"data:[^"]*"|"data"\s*:\s*"[^"]*"')
"""Images and sounds within a body, whose length says nothing of their tokens."""


def usage_of(told: Any) -> Usage | None:
    """Read the `usage` object of any endpoint; None where it tells no counts that can be."""
    if not isinstance(told, dict):
        return None
    given = _count(told.get("prompt_tokens", told.get("input_tokens")))
    made = _count(told.get("completion_tokens", told.get("output_tokens")) or 0)
    if given is None or made is None:
        return None
    details = told.get("prompt_tokens_details") or told.get("input_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Usage(given, made, min(cached or 0, given))


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST else None


def guessed_prompt(body: bytes) -> int:
    """Tokens of a request body that nobody counted, at four bytes a token; images are left out."""
    return tokens_of(len(_BINARY.sub(b"", body)))


def tokens_of(characters: int) -> int:
    """Tokens of a text of this length that nobody counted, at four characters a token."""
    return -(-characters // _CHARACTERS_PER_TOKEN)
