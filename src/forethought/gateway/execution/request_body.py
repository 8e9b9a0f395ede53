"""What a target is asked: the client's own body, with what the target's policy adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from forethought.gateway.base import ClientRequest
from forethought.gateway.config import ROUTED
from forethought.gateway.execution.completion import asks_usage
from forethought.gateway.upstreams.base import UpstreamRequest
from forethought.targets.pool import PoolEntry

CHAT = "/chat/completions"
TEXT = "/completions"

RESPONSES = "/responses"
EMBEDDINGS = "/embeddings"

LIMITS: Mapping[str, tuple[str, ...]] = {
    CHAT: ("max_tokens", "max_completion_tokens"),
    TEXT: ("max_tokens",),
    RESPONSES: ("max_output_tokens",),
    EMBEDDINGS: (),
}
"""Names of the longest answer by path; the first is set where a client sets none."""

_BOUND_TO_ONE = "idempotency-key"


def is_routed(request: ClientRequest) -> bool:
    """Whether a request leaves the choice of the target to the router."""
    return request.model == ROUTED or request.model.startswith(f"{ROUTED}/")


def passed_through(request: ClientRequest, entry: PoolEntry) -> UpstreamRequest:
    """A request as it came, under the name that the upstream calls its model by.

    On a budget it is held to the entry's longest answer where it says none, and the usage of its stream is asked for.

    Args:
        request: The client's.
        entry: The target that it names.
    """
    set_here: dict[str, Any] = {} if entry.model == request.model else {"model": entry.model}
    if request.key.daily_budget is not None:
        set_here |= _bounded(request, entry)
    raw = to_json({**request.body, **set_here}) if set_here else request.raw
    return UpstreamRequest(request.path, raw, request.stream, request.headers, "stream_options" not in set_here)


def _bounded(request: ClientRequest, entry: PoolEntry) -> dict[str, Any]:
    """What must be added to a request for its cost to be bounded and told; a local target is bounded by its policy."""
    body, limits = request.body, LIMITS[request.path]
    added: dict[str, Any] = {}
    if limits and entry.base_url is not None and all(body.get(field) is None for field in limits):
        added[limits[0]] = entry.max_output
    if request.stream and request.path in (CHAT, TEXT) and not asks_usage(body):
        added["stream_options"] = _telling_usage(body)
    return added


def routed_body(request: ClientRequest, entry: PoolEntry) -> dict[str, Any]:
    """A routed request's body for one target: the client's values win, but the effort is the decision's.

    Args:
        request: The client's.
        entry: The target, whose policy, if it has one, fills in what the client left out.
    """
    policy, body = entry.policy, {**request.body, "model": entry.model}
    sampling = (("temperature", policy.temperature), ("top_p", policy.top_p)) if entry.has_policy else ()
    for field, value in sampling:
        if body.get(field) is None:
            body[field] = value
    limits = LIMITS[request.path]
    if limits and all(body.get(field) is None for field in limits):
        body[limits[0]] = entry.longest_answer
    if request.path == CHAT:
        if policy.effort is not None:
            body["reasoning_effort"] = policy.effort
        if policy.system is not None and not _has_system(body.get("messages")):
            body["messages"] = [{"role": "system", "content": policy.system}, *body["messages"]]
    return body


def as_it_comes(request: ClientRequest, body: dict[str, Any], entry: PoolEntry) -> UpstreamRequest:
    """A routed request in the client's own manner; of a stream the usage is always asked for."""
    if not request.stream:
        return UpstreamRequest(request.path, to_json(body), False, _headers(request))
    return streamed(request, body, show_usage=asks_usage(request.body))


def streamed(request: ClientRequest, body: dict[str, Any], *, show_usage: bool = True) -> UpstreamRequest:
    """The request of a stream that tells its usage."""
    asked = to_json({**body, "stream": True, "stream_options": _telling_usage(body)})
    return UpstreamRequest(request.path, asked, True, _headers(request), show_usage)


def whole_and_sure(request: ClientRequest, body: dict[str, Any], entry: PoolEntry) -> UpstreamRequest:
    """The request of a whole answer, whatever the client wants to see of it, with its probabilities where told."""
    asked = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
    if "logprobs" in entry.features and not asked.get("logprobs"):
        asked["logprobs"] = True if request.path == CHAT else 1
    return UpstreamRequest(request.path, to_json(asked), False, _headers(request))


def _telling_usage(body: dict[str, Any]) -> dict[str, Any]:
    options = body.get("stream_options")
    return {**(options if isinstance(options, dict) else {}), "include_usage": True}


def _headers(request: ClientRequest) -> Mapping[str, str]:
    """The client's headers, without the one that would make one answer of votes, rungs and escalations."""
    if _BOUND_TO_ONE not in request.headers:
        return request.headers
    return {name: value for name, value in request.headers.items() if name != _BOUND_TO_ONE}


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
