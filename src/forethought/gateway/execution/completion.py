"""OpenAI's completion objects where the gateway itself writes them: whole, or as the events of a stream."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from forethought.gateway.base import ClientRequest, Delivery

DONE = b"data: [DONE]\n\n"
"""The event that ends a stream."""

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"

_CHAT = "/chat/completions"


def usage_of(input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> dict[str, Any]:
    """The `usage` object of so many tokens."""
    usage: dict[str, Any] = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    return usage if not cached_tokens else {**usage, "prompt_tokens_details": {"cached_tokens": cached_tokens}}


@dataclass(frozen=True, slots=True)
class CompletionWriter:
    """Writes what belongs to one answer: chat completions or, on the older path, text completions.

    Attributes:
        id: Of the answer, without its prefix.
        model: Whose answer it is said to be.
        chat: Whether it is a chat completion.
        created: Unix time.
    """

    id: str
    model: str
    chat: bool = True
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def to(cls, request: ClientRequest, model: str) -> CompletionWriter:
        """The writer of the answer to a request."""
        return cls(request.id, model, request.path == _CHAT)

    def whole(self, text: str, finish: str, usage: dict[str, Any]) -> dict[str, Any]:
        """The whole answer."""
        if self.chat:
            shown: dict[str, Any] = {"message": {"role": "assistant", "content": text, "refusal": None}}
        else:
            shown = {"text": text}
        choice = {"index": 0, **shown, "logprobs": None, "finish_reason": finish}
        return self._object("chat.completion", [choice], usage)

    def piece(self, text: str, *, first: bool = False) -> dict[str, Any]:
        """A chunk that adds text; the first of a chat names its role."""
        if not self.chat:
            return self._chunk({"text": text})
        return self._chunk({"delta": {"role": "assistant", "content": text} if first else {"content": text}})

    def end(self, finish: str, usage: dict[str, Any] | None = None) -> dict[str, Any]:
        """The chunk that says why the answer ended."""
        return self._chunk({"delta": {}} if self.chat else {"text": ""}, finish, usage)

    def counted(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The chunk that tells the usage, for whoever asked for it."""
        return self._object("chat.completion.chunk", [], usage)

    def _chunk(
        self, shown: dict[str, Any], finish: str | None = None, usage: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        choice = {"index": 0, **shown, "logprobs": None, "finish_reason": finish}
        return self._object("chat.completion.chunk", [choice], usage)

    def _object(self, kind: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
        prefix, kind = ("chatcmpl", kind) if self.chat else ("cmpl", "text_completion")
        written = {"id": f"{prefix}-{self.id}", "object": kind, "created": self.created, "model": self.model}
        return {**written, "choices": choices} if usage is None else {**written, "choices": choices, "usage": usage}


def event(data: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + to_json(data) + b"\n\n"


def chunks_of(completion: dict[str, Any], *, show_usage: bool) -> list[dict[str, Any]]:
    """A whole completion as the chunks of a stream: what each choice holds, why each ended, and the usage."""
    chat = "message" in completion["choices"][0]
    head = {key: value for key, value in completion.items() if key not in ("choices", "usage")}
    if chat:
        head["object"] = "chat.completion.chunk"
    choices = completion["choices"]
    shown = [{**head, "choices": [_shown(choice, chat)]} for choice in choices]
    ended = [{**head, "choices": [_ended(choice, chat)]} for choice in choices]
    counted = [{**head, "choices": [], "usage": completion["usage"]}] if show_usage and "usage" in completion else []
    return [*shown, *ended, *counted]


def _shown(choice: dict[str, Any], chat: bool) -> dict[str, Any]:
    kept = {"index": choice.get("index", 0), "logprobs": choice.get("logprobs"), "finish_reason": None}
    if not chat:
        return {**kept, "text": choice.get("text") or ""}
    delta = {key: value for key, value in choice["message"].items() if value is not None or key == "content"}
    if calls := delta.get("tool_calls"):
        delta["tool_calls"] = [{"index": i, **call} for i, call in enumerate(calls)]
    return {**kept, "delta": delta}


def _ended(choice: dict[str, Any], chat: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    return {"index": choice.get("index", 0), **shown, "logprobs": None, "finish_reason": choice.get("finish_reason")}


def is_completion(completion: Any, path: str) -> bool:
    """Whether an upstream's JSON is a completion of that path, in every choice."""
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        return False
    return path != _CHAT or all(isinstance(choice.get("message"), dict) for choice in choices)


def asks_usage(body: dict[str, Any]) -> bool:
    """Whether a client wants to be told the usage of a stream."""
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def delivered(
    request: ClientRequest, completion: dict[str, Any], target: str | None, headers: dict[str, str]
) -> Delivery:
    """A completion on its way to a client, as events where it asked for a stream."""
    if not request.stream:
        return Delivery(200, JSON, target, body=to_json(completion), headers=headers)
    chunks = chunks_of(completion, show_usage=asks_usage(request.body))
    return Delivery(200, EVENTS, target, pieces=_events(chunks), last=DONE, headers=headers)


async def _events(chunks: Iterable[dict[str, Any]]) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield event(chunk)
