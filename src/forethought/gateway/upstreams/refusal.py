"""An upstream's error reply, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic_core import from_json, to_json

from forethought.gateway.upstreams.backoff import read_retry_after
from forethought.gateway.upstreams.base import UpstreamFailure

Verdict = Literal["passing", "failing", "limited", "spent", "misconfigured", "absent", "too-long", "client"]
"""May pass if asked again; failing for longer; takes no more for a time it told; takes no more until somebody pays;
refuses the gateway itself; does not know the model or path; too long for this target; wrong whoever is asked."""

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_MISCONFIGURED = frozenset({401, 402, 403, 407})
_ABSENT = frozenset({404, 405, 410})
_TOO_LONG = re.compile(r"context[ _-]?(length|window|size)|prompt is too long|too many tokens|input token count", re.I)
_FILTERED = re.compile(r"content_?filter|content_policy|responsible_?ai_?policy|moderation_blocked|flagged_input", re.I)


class Refusal(UpstreamFailure):
    """A reply whose status is no success.

    Args:
        status: Of the reply.
        reply: Its body.
        content_type: Of the body.
        retry_after: The header as it came.
    """

    def __init__(self, status: int, reply: bytes, content_type: str, retry_after: str | None) -> None:
        seconds = read_retry_after(retry_after)
        super().__init__("status", f"HTTP {status}", status=status, retry_after=seconds, reply=reply)
        self.content_type = content_type
        self.headers = {} if retry_after is None else {"retry-after": retry_after}
        self.verdict = _judge(status, _words(reply), seconds)


def refusal_of(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """The refusal that a reply is."""
    return Refusal(status, body, headers.get("content-type", "application/json"), headers.get("retry-after"))


def refusal_within(error: dict[str, Any]) -> Refusal | None:
    """The client's own fault, told as an error event of a stream that began well; None where it is no such fault."""
    refusal = Refusal(400, to_json({"error": error}), "application/json", None)
    faulty = refusal.verdict == "too-long" or _FILTERED.search(_words(refusal.reply))
    return refusal if faulty else None


def _judge(status: int, words: str, retry_after: float | None) -> Verdict:
    if 400 <= status < 500 and status != 429 and _FILTERED.search(words):
        return "client"
    if status == 429 and "insufficient_quota" in words:
        return "spent"
    if status in (429, 503) and retry_after is not None:
        return "limited"
    if status in _PASSING:
        return "passing"
    if status in _MISCONFIGURED or status < 400:
        return "misconfigured"
    if status in _ABSENT:
        return "absent"
    if status >= 500:
        return "failing"
    return "too-long" if _TOO_LONG.search(words) else "client"


def _words(reply: bytes) -> str:
    """What an error says of itself: its codes and its message, never a prompt that it may repeat elsewhere."""
    try:
        read = from_json(reply)
    except ValueError:
        return ""
    error = read.get("error", read) if isinstance(read, dict) else read
    if not isinstance(error, dict):
        return str(error)[:1000]
    inner = error.get("innererror")
    codes = [error.get(name) for name in ("code", "type", "message")] + [
        inner.get("code") if isinstance(inner, dict) else ""
    ]
    flagged = "flagged_input" if "flagged_input" in str(error.get("metadata")) else ""
    return " ".join(str(code)[:1000] for code in codes) + flagged
