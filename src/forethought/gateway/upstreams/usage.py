"""What an answer used: as its upstream tells, or as it can be guessed where it does not."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import from_json, to_json

from forethought.targets.streaming import Usage

_MOST = 2**40
"""Tokens beyond which a count is nonsense rather than a bill."""
_CHARACTERS_PER_TOKEN = 4
TOKENS_OF_AN_IMAGE = 1024
"""What an image is guessed at: published counts of a megapixel lie between 765 and 1,600."""
_BINARY = re.compile(rb'"data:[^"]*"|"data"\s*:\s*"[^"]*"')
"""Images and sounds within a body, whose length says nothing of their tokens."""
_IMAGE = re.compile(rb'"image_url"\s*:')
"""A part that shows an image, in the form of any path."""


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
    """Tokens of a request body that nobody counted: four bytes a token, and so many an image."""
    if b"\\u" in body:
        body = to_json(from_json(body))  # a name may be spelt with escapes, and a letter takes no six bytes
    return tokens_of(len(_BINARY.sub(b"", body))) + TOKENS_OF_AN_IMAGE * len(_IMAGE.findall(body))


def told_in(answer: bytes) -> Usage | None:
    """The usage that a whole answer tells, though it may be no answer that can be shown; None where it tells none."""
    try:
        read = from_json(answer) if answer.rstrip().endswith(b"}") else None
    except ValueError:
        return None
    return usage_of(read.get("usage")) if isinstance(read, dict) else None


def tokens_of(characters: int) -> int:
    """Tokens of a text of this length that nobody counted, at four characters a token."""
    return -(-characters // _CHARACTERS_PER_TOKEN)
