"""What the gateway reads of a request's headers besides the key, and what it shows upstreams of them."""

from __future__ import annotations

from collections.abc import Mapping

from forethought.gateway.base import Key
from forethought.gateway.problems import Problem

Headers = Mapping[bytes, bytes]
"""A request's headers as ASGI has them: lower-case names."""

SHOWN = (b"openai-beta", b"traceparent", b"tracestate", b"x-client-request-id", b"x-request-id")
"""Headers that upstreams are shown as they came."""

LONGEST_VALUE = 512
"""Bytes of a header that upstreams are shown; a longer one is left out."""

LONGEST_CONVERSATION = 128
"""Characters of a conversation's id."""


def shown_headers(headers: Headers, key: Key) -> dict[str, str]:
    """The headers that upstreams are shown.

    An idempotency key is bound to the gateway's key: two clients behind one account of the upstream's could
    otherwise be given each other's answers.
    """
    shown = {}
    for name in SHOWN:
        value = headers.get(name)
        if value is not None and len(value) <= LONGEST_VALUE and is_visible(value):
            shown[name.decode()] = value.decode()
    value = headers.get(b"idempotency-key")
    if value is not None and len(value) <= LONGEST_VALUE and is_visible(value):
        shown["idempotency-key"] = f"{key.id}-{value.decode()}"
    return shown


def conversation_of(headers: Headers) -> str | None:
    """The conversation's id that the client gave.

    Raises:
        Problem: 400, not 1 to 128 visible ASCII characters.
    """
    value = headers.get(b"x-forethought-conversation")
    if value is None:
        return None
    if not 0 < len(value) <= LONGEST_CONVERSATION or b" " in value or not is_visible(value):
        raise Problem(
            400,
            f"x-forethought-conversation must be 1 to {LONGEST_CONVERSATION} visible ASCII characters, "
            f"got {len(value)} bytes",
            code="invalid_header",
            param="x-forethought-conversation",
        )
    return value.decode()


def is_visible(value: bytes) -> bool:
    """Whether a value holds nothing but printable ASCII."""
    return value.isascii() and value.decode("ascii").isprintable()
