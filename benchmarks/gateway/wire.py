"""The bytes that the mock upstream sends, known to the load generator too: an answer is whole where they arrive."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

TEXT = b"hello there"
INPUT_TOKENS, OUTPUT_TOKENS = 11, 1
USAGE = b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    INPUT_TOKENS + OUTPUT_TOKENS,
)
ANSWER = (
    b'{"id":"chatcmpl-0","object":"chat.completion","created":1,"model":"mock","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"' + TEXT + b'"},"finish_reason":"stop"}],"usage":' + USAGE + b"}"
)
PLAIN = "mock"
"""The model that answers whole and at once; any other says how it streams, see `Pace`."""

_PACED = re.compile(rb'"model"\s*:\s*"(\d+)x([\d.]+)"')
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_NONCE = re.compile(rb"nonce-(\d+)")


class Pace(NamedTuple):
    """How a stream comes: so many tokens, so many seconds apart, the first at once."""

    tokens: int
    seconds: float

    @property
    def model(self) -> str:
        """The name of the model that streams so."""
        return f"{self.tokens}x{self.seconds:g}"


class Question(NamedTuple):
    """What the mock reads of a request's body."""

    stream: bool
    usage: bool
    pace: Pace
    nonce: int


def read_question(body: bytes) -> Question:
    """Search instead of parsing: the mock shares its two cores with what is measured."""
    paced, nonce = _PACED.search(body), _NONCE.search(body)
    return Question(
        _STREAM.search(body) is not None,
        _USAGE.search(body) is not None,
        Pace(int(paced[1]), float(paced[2])) if paced else Pace(1, 0.0),
        int(nonce[1]) if nonce else 0,
    )


def request(
    model: str, key: str, *, nonce: int = 0, stream: bool = False, usage: bool = False, max_tokens: int = 16
) -> bytes:
    """A chat request of 1 KB, head and body.

    Args:
        model: Asked for.
        key: Shown.
        nonce: Makes its stream's text its own.
        stream: Whether the answer is to be streamed.
        usage: Whether the stream is to tell its usage.
        max_tokens: Longest answer.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": f"nonce-{nonce} ".ljust(800, "x")}],
        "max_tokens": max_tokens,
    }
    if stream:
        body["stream"] = True
    if usage:
        body["stream_options"] = {"include_usage": True}
    return post(body, key)


def post(body: Mapping[str, Any], key: str) -> bytes:
    """Any chat request, head and body."""
    content = json.dumps(body, separators=(",", ":")).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1",
        b"host: 127.0.0.1",
        b"content-type: application/json",
        b"authorization: Bearer " + key.encode(),
        b"content-length: %d" % len(content),
    )
    return b"\r\n".join((*head, b"", content))


def token_event(nonce: int, i: int) -> bytes:
    """One token of a stream: no other stream has it, and no other place in this one."""
    return _event(b'{"index":0,"delta":{"content":"%d.%d "},"finish_reason":null}' % (nonce, i))


def end_of_stream(usage: bool) -> bytes:
    """What follows the last token."""
    told = b'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1,"model":"mock","choices":[],"usage":'
    return (
        _event(b'{"index":0,"delta":{},"finish_reason":"stop"}')
        + (told + USAGE + b"}\n\n" if usage else b"")
        + b"data: [DONE]\n\n"
    )


def whole_stream(nonce: int, tokens: int) -> bytes:
    """Every byte of a stream whose client asked for no usage."""
    return b"".join(token_event(nonce, i) for i in range(tokens)) + end_of_stream(usage=False)


def _event(choice: bytes) -> bytes:
    return (
        b'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1,"model":"mock","choices":['
        + choice
        + b"]}\n\n"
    )
