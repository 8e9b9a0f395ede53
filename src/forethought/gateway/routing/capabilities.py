"""What a request asks of a target beyond a plain answer, and what of that a target lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from forethought.gateway.base import ClientRequest
from forethought.gateway.routing.reading import CHARACTERS_PER_WINDOW_TOKEN, text_of
from forethought.targets.pool import Feature, PoolEntry

Missing: TypeAlias = Feature | Literal["context", "turns"]
"""What a target can lack; `turns` is a conversation, of which a few-shot prompt shows nothing but the last turn."""

_TEXT_PARTS = ("text", "refusal")


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks for.

    Attributes:
        features: In the order of `Feature`.
        tokens: Of its prompt at least and its answer at most. What does not fit surely is not tried; what may not fit
            is, since the target knows and the request goes on to a larger one.
        turns: Whether an assistant has spoken before.
    """

    features: tuple[Feature, ...]
    tokens: int
    turns: bool


def demand(request: ClientRequest) -> Demand:
    """What a request asks for."""
    body = request.body
    found = body.get("messages")
    messages = [message for message in found if isinstance(message, dict)] if isinstance(found, list) else []
    parts = [part for message in messages if isinstance(content := message.get("content"), list) for part in content]
    wanted: dict[Feature, bool] = {
        "tools": bool(body.get("tools") or body.get("functions")) or any(map(_speaks_of_tools, messages)),
        "json": _wants_json(body.get("response_format")),
        "images": any(isinstance(part, dict) and part.get("type", "text") not in _TEXT_PARTS for part in parts),
        "logprobs": _wants_logprobs(body.get("logprobs")) or bool(body.get("top_logprobs")),
        "n": _above_one(body.get("n")) or _above_one(body.get("best_of")),
    }
    longest = body.get("max_completion_tokens") or body.get("max_tokens") or 0
    shortest = _characters(body, messages) // CHARACTERS_PER_WINDOW_TOKEN
    tokens = shortest + (longest if isinstance(longest, int) else 0)
    turns = any(message.get("role") == "assistant" for message in messages)
    return Demand(tuple(feature for feature, asked in wanted.items() if asked), tokens, turns)


def missing(request: ClientRequest, entry: PoolEntry) -> tuple[Missing, ...]:
    """What a request asks for that a target lacks; empty where it can be asked.

    Votes and local targets answer plain text only, whatever their entry says.
    """
    return lacking(demand(request), entry)


def lacking(asked: Demand, entry: PoolEntry) -> tuple[Missing, ...]:
    """Like `missing`, of a demand that is known."""
    plain = entry.base_url is None or entry.vote is not None or entry.policy.votes > 1
    lacks: list[Missing] = [feature for feature in asked.features if plain or feature not in entry.features]
    if entry.context is not None and asked.tokens > entry.context:
        lacks.append("context")
    if asked.turns and entry.policy.prompt == "few_shot":
        lacks.append("turns")
    return tuple(lacks)


def absent_models() -> frozenset[str]:
    """Catalogue models whose weights are not on this machine."""
    from forethought.models import list_models

    return frozenset(state.name for state in list_models() if not state.installed)


def unroutable(entry: PoolEntry, absent: Iterable[str]) -> str | None:
    """What a target lacks to be routed to at all, None where nothing.

    Args:
        entry: The target.
        absent: Models whose weights are not installed.
    """
    if entry.prices is None:
        return "prices"
    if entry.base_url is None:
        return "weights" if entry.model in absent else None
    return "examples, which only local models are shown" if entry.policy.prompt == "few_shot" else None


def _speaks_of_tools(message: dict[str, Any]) -> bool:
    return message.get("role") in ("tool", "function") or bool(
        message.get("tool_calls") or message.get("function_call")
    )


def _wants_json(form: object) -> bool:
    return isinstance(form, dict) and form.get("type", "text") != "text"


def _wants_logprobs(asked: object) -> bool:
    return asked is not None and asked is not False


def _above_one(count: object) -> bool:
    return isinstance(count, int) and count > 1


def _characters(body: dict[str, Any], messages: list[dict[str, Any]]) -> int:
    """Of the text that is surely part of the prompt: how a target writes tools and calls is its own affair."""
    prompt = body.get("prompt")
    written = sum(len(text_of(message.get("content"))) for message in messages)
    return written + (len(prompt) if isinstance(prompt, str) else 0)
