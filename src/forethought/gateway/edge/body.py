"""A request's body, as far as the limits allow it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from forethought.gateway.config import Limits
from forethought.gateway.problems import Problem

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""ASGI's `receive`."""

_KNOWN_JSON = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})


class ClientGone(Exception):  # noqa: N818 - nobody is left to be told of an error
    """The client hung up before its request had come whole."""


async def read_body(scope: MutableMapping[str, Any], receive: Receive, limits: Limits) -> bytes:
    """Read a body of JSON.

    How long it may take to come is watched by `GuardedProtocol`, which then answers 408 and hangs up.

    Raises:
        Problem: 413 for a body that is too long, at once where its length is told; 415 for one that is compressed or
            not JSON.
        ClientGone: The client hung up, or was too slow.
    """
    _check_head(scope["headers"], limits)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        return await _read_on(body, receive, limits)
    if len(body) > limits.body_bytes:
        raise _too_long(limits)
    return body


async def _read_on(first: bytes, receive: Receive, limits: Limits) -> bytes:
    body, more = bytearray(first), True
    while more:
        if len(body) > limits.body_bytes:
            raise _too_long(limits)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if len(body) > limits.body_bytes:
        raise _too_long(limits)
    return bytes(body)


def _check_head(headers: Iterable[tuple[bytes, bytes]], limits: Limits) -> None:
    json = False
    for name, value in headers:
        if name == b"content-type":
            json = value in _KNOWN_JSON or _is_json(value)
        elif name == b"content-length":
            if int(value) > limits.body_bytes:
                raise _too_long(limits)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise Problem(415, "a compressed body is not read; send it plain", code="unsupported_encoding")
    if not json:
        raise Problem(415, "the content-type must be application/json", code="unsupported_media_type")


def _is_json(value: bytes) -> bool:
    kind, _, parameters = value.lower().partition(b";")
    charset = parameters.strip().replace(b'"', b"").replace(b" ", b"")
    return kind.strip() == b"application/json" and charset in (b"", b"charset=utf-8", b"charset=utf8")


def _too_long(limits: Limits) -> Problem:
    return Problem(413, f"the body is longer than {limits.body_bytes} bytes", code="body_too_long")
