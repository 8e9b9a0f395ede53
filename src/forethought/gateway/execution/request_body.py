"""What a target is asked: the client's own body, with what the target's policy adds."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from forethought.gateway.base import ClientRequest
from forethought.gateway.config import ROUTED
from forethought.gateway.execution.completion import asks_usage
from forethought.gateway.upstreams.base import UpstreamRequest
from forethought.targets.pool import PoolEntry

CHAT = "/chat/completions"
TEXT = "/completions"

LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""Names of the longest answer, by path and age of a client."""

_READ_HERE = (b'"model"', b'"stream"', b'"n"', b'"max_tokens"', b'"max_completion_tokens"')


def is_routed(request: ClientRequest) -> bool:
    """Whether a request leaves the choice of the target to the router."""
    return request.model == ROUTED or request.model.startswith(f"{ROUTED}/")


def passed_through(request: ClientRequest, model: str) -> UpstreamRequest:
    """A request as it came, under the name that the upstream calls its model by.

    Args:
        request: The client's.
        model: The upstream's name.
    """
    raw = request.raw
    if model != request.model or any(raw.count(name) > 1 for name in _READ_HERE):
        # A field told twice is written anew: an upstream that believed the other one would be asked for
        # another model, or a longer answer, than the one that was paid for.
        raw = to_json({**request.body, "model": model})
    return UpstreamRequest(request.path, raw, request.stream, request.headers)


def routed_body(request: ClientRequest, entry: PoolEntry) -> dict[str, Any]:
    """A routed request's body for one target: the client's values win, but the effort is the decision's.

    Args:
        request: The client's.
        entry: The target, whose policy fills in what the client left out.
    """
    policy, body = entry.policy, {**request.body, "model": entry.model}
    for field, value in (("temperature", policy.temperature), ("top_p", policy.top_p)):
        if body.get(field) is None:
            body[field] = value
    if all(body.get(field) is None for field in LIMITS):
        body["max_tokens"] = policy.max_tokens
    if request.path == CHAT:
        if policy.effort is not None:
            body["reasoning_effort"] = policy.effort
        if policy.system is not None and not _has_system(body.get("messages")):
            body["messages"] = [{"role": "system", "content": policy.system}, *body["messages"]]
    return body


def as_it_comes(request: ClientRequest, body: dict[str, Any], entry: PoolEntry) -> UpstreamRequest:
    """A routed request in the client's own manner; of a stream the usage is always asked for."""
    if not request.stream:
        return UpstreamRequest(request.path, to_json(body), False, request.headers)
    return streamed(request, body, show_usage=asks_usage(request.body))


def streamed(request: ClientRequest, body: dict[str, Any], *, show_usage: bool = True) -> UpstreamRequest:
    """The request of a stream that tells its usage."""
    options = body.get("stream_options")
    told = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    asked = to_json({**body, "stream": True, "stream_options": told})
    return UpstreamRequest(request.path, asked, True, request.headers, show_usage)


def whole_and_sure(request: ClientRequest, body: dict[str, Any], entry: PoolEntry) -> UpstreamRequest:
    """The request of a whole answer, whatever the client wants to see of it, with its probabilities where told."""
    asked = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
    if "logprobs" in entry.features and not asked.get("logprobs"):
        asked["logprobs"] = True if request.path == CHAT else 1
    return UpstreamRequest(request.path, to_json(asked), False, request.headers)


def last_text(request: ClientRequest) -> str | None:
    """The text that the last user turn, or a text completion's prompt, asks; None where there is none.

    A chat whose last turn is not the user's asks nothing in this sense.
    """
    if request.path == TEXT:
        prompt = request.body.get("prompt")
        return prompt if isinstance(prompt, str) and prompt.strip() else None
    messages = request.body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "user":
        return None
    text = text_of(last.get("content"))
    return text if text is not None and text.strip() else None


def text_of(content: Any) -> str | None:
    """A turn's text; None where it holds anything else."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return None
    texts = [part.get("text") if part.get("type") == "text" else None for part in content]
    return None if any(not isinstance(text, str) for text in texts) else "\n".join(map(str, texts))


def _has_system(messages: Any) -> bool:
    turns = messages if isinstance(messages, list) else []
    return any(isinstance(turn, dict) and turn.get("role") in ("system", "developer") for turn in turns)
