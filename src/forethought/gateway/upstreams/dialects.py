"""The wire formats of the API's endpoints: what makes an answer whole, what an event of a stream means."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

from pydantic_core import from_json

from forethought.gateway.upstreams.usage import tokens_of, usage_of
from forethought.targets.streaming import Usage, tokens_in

Meaning = Literal["aside", "content", "usage", "end"]
"""What an event is: nothing that shows; something of the answer; the usage alone; the end of the answer."""

_SAID = ("tool_calls", "reasoning_content", "reasoning", "refusal", "function_call", "audio")
"""Fields of a delta besides `content` that are part of an answer."""


class StreamError(ValueError):
    """An event that says that the answer failed.

    Args:
        error: The error object.
    """

    def __init__(self, error: Any) -> None:
        super().__init__("an error within the stream")
        self.error = error if isinstance(error, dict) else {}


class StreamReading(Protocol):
    """What has been read of one stream.

    Attributes:
        usage: As the upstream told it, None so far.
        tokens: Of the answer, counted by deltas.
        failed: Whether the answer's end says that it failed.
    """

    usage: Usage | None
    tokens: int
    failed: bool

    def read(self, data: bytes) -> Meaning:
        """Take the data of one event.

        Raises:
            ValueError: It is not of this format, or (`StreamError`) tells an error.
        """

    @property
    def whole(self) -> bool:
        """Whether the answer is known to be complete, even if no event ends it."""


class ChoicesReading:
    """A stream of `/chat/completions` or `/completions`.

    `[DONE]` ends it. Without that it is whole once every choice that was asked for has a `finish_reason`.

    Args:
        asked: The request's body.
    """

    __slots__ = ("_asked", "_ended", "_open", "failed", "tokens", "usage")

    def __init__(self, asked: bytes) -> None:
        self._asked = asked
        self.usage: Usage | None = None
        self.tokens = 0
        self.failed = False
        self._open: set[int] = set()
        self._ended: set[int] = set()

    @property
    def whole(self) -> bool:
        """Whether every choice that was asked for has ended, and any other that began."""
        return bool(self._ended) and not self._open and len(self._ended) >= _choices(self._asked)

    def read(self, data: bytes) -> Meaning:
        """Take the data of one event.

        Raises:
            ValueError: No chunk of a completion, or an error.
        """
        if data.startswith(b"[DONE]"):
            return "end"
        event = _object(data)
        if (error := event.get("error")) is not None or event.get("object") == "error":
            raise StreamError(error or event)
        if (told := event.get("usage")) is not None:
            self.usage = usage_of(told) or self.usage
        choices = event.get("choices")
        if not choices:
            return "aside" if told is None or choices is None else "usage"
        try:
            said = [self._choice(choice) for choice in choices]
        except (AttributeError, TypeError) as problem:
            raise ValueError(f"no chunk of a completion: {type(problem).__name__}") from None
        return "content" if any(said) else "aside"

    def _choice(self, choice: dict[str, Any]) -> bool:
        """Take one choice of a chunk; whether it adds to the answer."""
        index, finish = choice.get("index", 0), choice.get("finish_reason")
        if finish == "error":
            raise StreamError({})
        delta = choice.get("delta")
        tokens = tokens_in(choice.get("text") or "") if delta is None else _tokens(delta)
        said = bool(choice.get("text")) if delta is None else tokens > 0
        self.tokens += tokens if said else 0
        if finish is not None:
            self._ended.add(index)
            self._open.discard(index)
        elif index not in self._ended:
            self._open.add(index)
        return said or finish is not None


class ResponsesReading:
    """A stream of `/responses`, which one event ends: `response.completed`, `.incomplete` or `.failed`."""

    __slots__ = ("failed", "tokens", "usage", "whole")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.tokens = 0
        self.failed = False
        self.whole = False

    def read(self, data: bytes) -> Meaning:
        """Take the data of one event.

        Raises:
            ValueError: No event of a response, or an error.
        """
        if data.startswith(b"[DONE]"):
            return "end"
        event = _object(data)
        kind = event.get("type")
        if kind == "error" or not isinstance(kind, str):
            raise StreamError(event.get("error") or event)
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            response = event.get("response")
            self.usage = usage_of(response.get("usage")) if isinstance(response, dict) else None
            self.failed = kind == "response.failed"
            self.whole = not self.failed
            return "end"
        if not kind.endswith(".delta"):
            return "aside"
        delta = event.get("delta")
        self.tokens += tokens_in(delta) if isinstance(delta, str) else 1
        return "content"


class WholeAnswer(NamedTuple):
    """What a whole answer says of itself.

    Attributes:
        usage: As its upstream told it, None where it did not.
        tokens: Guessed from its length; only where nothing was told.
    """

    usage: Usage | None
    tokens: int = 0


_PARTS = {"/chat/completions": "choices", "/completions": "choices", "/responses": "output", "/embeddings": "data"}
"""The list that makes a body an answer, by path."""


def read_whole(path: str, body: bytes) -> WholeAnswer:
    """Read a body that was sent as a success.

    Raises:
        ValueError: No JSON object, or one without an answer in it.
    """
    answer = _object(body)
    part = _PARTS.get(path)
    if part is not None and not isinstance(answer.get(part), list):
        raise ValueError(f"no {part!r} in the answer")
    if part == "choices" and not answer[part]:
        raise ValueError("no choice in the answer")
    usage = usage_of(answer.get("usage"))
    if usage is not None or part not in ("choices", "output"):
        return WholeAnswer(usage)
    return WholeAnswer(None, tokens_of(_length(answer[part])))


def reading_of(path: str, asked: bytes) -> StreamReading:
    """Reads a stream of this endpoint.

    Args:
        path: Of the endpoint.
        asked: The request's body.
    """
    return ResponsesReading() if path == "/responses" else ChoicesReading(asked)


def closing_of(path: str) -> bytes:
    """The event that ends a stream whose answer is whole without it."""
    return b"" if path == "/responses" else b"data: [DONE]\n\n"


def _object(data: bytes) -> dict[str, Any]:
    read = from_json(data)
    if not isinstance(read, dict):
        raise ValueError("no JSON object")
    return read


def _choices(asked: bytes) -> int:
    """Choices that a request asks for: `n` for every prompt."""
    body = _object(asked)
    n, prompt = body.get("n"), body.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int | float) else 1
    return prompts * (int(n) if isinstance(n, int | float) else 1)


def _tokens(delta: dict[str, Any]) -> int:
    """Tokens of a delta, 0 where it says nothing."""
    content = delta.get("content")
    if content:
        return tokens_in(content) if isinstance(content, str) else 1
    return 1 if any(delta.get(name) for name in _SAID) else 0


_TEXT = frozenset({"content", "text", "arguments", "refusal", "reasoning_content", "reasoning"})


def _length(part: Any, counted: bool = False) -> int:
    """Characters that a model wrote within a part of an answer."""
    if isinstance(part, str):
        return len(part) if counted else 0
    if isinstance(part, dict):
        return sum(_length(value, name in _TEXT) for name, value in part.items())
    return sum(_length(item, counted) for item in part) if isinstance(part, list) else 0
