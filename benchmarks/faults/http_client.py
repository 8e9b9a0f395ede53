"""One request and what its client could see of the answer."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from load import Endpoint, ask, ended, split
from wire import post

LONGEST = 30
"""Seconds after which a request is given up."""


@dataclass(slots=True)
class Answer:
    """What a client could see.

    Attributes:
        status: HTTP status.
        headers: Lower-case names.
        text: Content of the choices, as far as it came.
        done: Whether it ended as whole: a JSON body, or `[DONE]` at the end of a stream.
        failed: Whether an error was told after the head of a success, or the connection broke there.
        error: The error object, where one came.
    """

    status: int
    headers: Mapping[str, str]
    text: str = ""
    done: bool = False
    failed: bool = False
    error: dict[str, Any] = field(default_factory=dict)


def get(port: int, path: str, key: str) -> dict[str, Any] | None:
    """A JSON object; None where there is none."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=LONGEST) as reply:  # noqa: S310 - loopback
            found = json.load(reply)
    except urllib.error.HTTPError as error:
        error.close()
        return None
    return dict(found)


def chat(endpoint: Endpoint, body: Mapping[str, Any]) -> Answer:
    """Ask, and read until the answer or its connection ends; what hangs has no status."""
    try:
        raw = asyncio.run(_within(LONGEST, ask(endpoint, post(body, endpoint.key))))
    except TimeoutError:
        return Answer(0, {})
    status, content = split(raw)
    answer = Answer(status or 0, _headers(raw))
    if status != 200:
        answer.error = _error_of(content)
    elif answer.headers.get("content-type", "").startswith("text/event-stream"):
        _read_events(answer, content)
        answer.failed = answer.failed or not ended(raw)
    elif ended(raw):
        answer.text, answer.done = json.loads(content)["choices"][0]["message"]["content"], True
    else:
        answer.failed = True
    return answer


async def _within(seconds: float, asked: Coroutine[Any, Any, bytes]) -> bytes:
    async with asyncio.timeout(seconds):
        return await asked


def _read_events(answer: Answer, content: bytes) -> None:
    for line in content.splitlines():
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:"):
            continue
        if data == b"[DONE]":
            answer.done = True
            continue
        event = json.loads(data)
        if "error" in event:
            answer.error, answer.failed = event["error"], True
        for choice in event.get("choices", []):
            answer.text += choice.get("delta", {}).get("content") or ""


def _headers(raw: bytes) -> dict[str, str]:
    lines = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _error_of(body: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return {}
