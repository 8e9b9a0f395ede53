"""Whether the cost of a request has a bound at all, and what that bound depends on.

What an upstream keeps, fetches, looks up or runs on its own can put any number of tokens into a prompt, and some
fields change the price of a token. None of that is asked for on a budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from forethought.gateway.base import ClientRequest
from forethought.gateway.execution.request_body import CHAT, EMBEDDINGS, RESPONSES, TEXT
from forethought.gateway.problems import Problem

LONGEST_NAME = 64
"""Characters of a field's name that a message repeats."""

_REFUSED = frozenset(
    {
        # what the upstream keeps, and what it may do later
        "background", "context_management", "conversation", "previous_response_id",
        # what it searches or fetches, in OpenAI's words and in those of aggregators
        "plugins", "search_parameters", "web_search_options",
        # tokens at another price, or beyond the limit
        "audio", "prediction",
    }
)  # fmt: skip
_ALLOWED: Mapping[str, tuple[Any, ...]] = {"service_tier": ("auto", "default"), "modalities": (["text"], [])}
_TOLD = {CHAT: "messages", TEXT: "prompt", RESPONSES: "input", EMBEDDINGS: "input"}
_TOOLS = ("function", "custom")
_TEXTS = ("text", "refusal", "input_text", "output_text")
_IMAGES = ("image_url", "input_image")
_CALLS = ("function_call", "custom_tool_call")
_RESULTS = ("function_call_output", "custom_tool_call_output")


class Extent(NamedTuple):
    """What bounds the cost of a request besides its limit.

    Attributes:
        written: Bytes of the body that may be read as text.
        turns: Messages, items of an input, or separate texts.
        images: Images shown.
        tools: Whether the model is told of tools.
    """

    written: int
    turns: int
    images: int
    tools: bool


def extent_of(request: ClientRequest) -> Extent:
    """Measure a request.

    Raises:
        Problem: 400 `not_boundable`, naming the field because of which it can cost any amount.
    """
    body = request.body
    _check_fields(request.path, body)
    images = inline = 0
    for where, part in _parts(request.path, body):
        if (kind := part.get("type")) in _IMAGES and part.get("file_id") is None:
            images += 1
            inline += _inline(part.get("image_url"))
        elif kind not in _TEXTS:
            raise _refused(where)
    tools = bool(body.get("tools") or body.get("functions"))
    return Extent(len(request.raw) - inline, texts_in(body.get(_TOLD[request.path])), images, tools)


def texts_in(told: Any) -> int:
    """How many texts, or turns, a prompt holds; the tokens of a text are one."""
    several = isinstance(told, list) and told and not isinstance(told[0], int | float)
    return len(told) if several else 1


def _check_fields(path: str, body: dict[str, Any]) -> None:
    for name, value in body.items():
        folded = name.casefold()
        if value is None or value is False:
            continue
        stored = folded == "prompt" and path == RESPONSES
        if stored or folded in _REFUSED or (folded in _ALLOWED and value not in _ALLOWED[folded]):
            raise _refused(name[:LONGEST_NAME])
    for index, tool in enumerate(body.get("tools") or ()):
        if not isinstance(tool, dict) or tool.get("type") not in _TOOLS:
            raise _refused(f"tools[{index}]")


def _parts(path: str, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of every turn, and where it stands.

    Raises:
        Problem: 400, a turn that is none, or refers to what the upstream keeps.
    """
    name = _TOLD[path]
    turns = body.get(name) if path in (CHAT, RESPONSES) else None
    for index, turn in enumerate(turns if isinstance(turns, list) else ()):
        where = f"{name}[{index}]"
        if not isinstance(turn, dict):
            raise _refused(where)
        held, content = _content(name, turn, where)
        if isinstance(content, list):
            for number, part in enumerate(content):
                if not isinstance(part, dict):
                    raise _refused(f"{where}.{held}[{number}]")
                yield f"{where}.{held}[{number}]", part
        elif not isinstance(content, str):
            raise _refused(where)


def _content(name: str, turn: dict[str, Any], where: str) -> tuple[str, Any]:
    """The field that holds what a turn says, and what it holds."""
    if name == "messages":
        if turn.get("audio") is not None:
            raise _refused(f"{where}.audio")
        return "content", turn.get("content") or ""
    kind = turn.get("type", "message")
    if kind in _RESULTS:
        return "output", turn.get("output")
    if kind in _CALLS:
        return "arguments", turn.get("arguments", turn.get("input"))
    return ("encrypted_content" if kind == "reasoning" else "content"), _said(kind, turn)


def _said(kind: Any, turn: dict[str, Any]) -> Any:
    """What a message or a kept reasoning says itself; None where only the upstream knows."""
    if kind == "reasoning":
        kept = turn.get("encrypted_content")
        return kept if isinstance(kept, str) else None
    return turn.get("content") if kind == "message" else None


def _inline(link: Any) -> int:
    """Bytes of an image that stands in the body itself, which are no text."""
    url = link.get("url") if isinstance(link, dict) else link
    return len(url) if isinstance(url, str) and url.startswith("data:image/") else 0


def _refused(field: str) -> Problem:
    return Problem(
        400,
        f"{field}: what this can cost has no bound, and a key with a budget is only served what has one",
        code="not_boundable",
        param=field,
    )
