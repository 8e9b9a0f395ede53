"""Requests that a model in this process can answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from forethought.core import DecodingPolicy, Message, Role
from forethought.gateway.execution.request_body import CHAT, TEXT, text_of
from forethought.gateway.problems import Problem

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_UNSERVED = ("tools", "functions", "logprobs", "top_logprobs", "suffix", "echo", "audio", "logit_bias")
_MOST_STOPS = 4


@dataclass(frozen=True, slots=True)
class LocalRequest:
    """What a local model is asked.

    Attributes:
        messages: The chat.
        policy: The target's, with what the request asks for itself.
        stops: Strings that end the answer.
        seed: Of the random stream; None to draw one.
        show_usage: Whether a stream tells its usage in an event of its own.
    """

    messages: tuple[Message, ...]
    policy: DecodingPolicy
    stops: tuple[str, ...] = ()
    seed: int | None = None
    show_usage: bool = False

    @property
    def question(self) -> str:
        """The last user turn; empty where there is none."""
        return next((turn.content for turn in reversed(self.messages) if turn.role == "user"), "")


def read_request(path: str, body: dict[str, Any], policy: DecodingPolicy) -> LocalRequest:
    """Read a request for a target.

    Args:
        path: `/chat/completions`, or `/completions`, whose prompt is then the user's turn.
        body: What is asked.
        policy: The target's, which fills what the body leaves out, a system turn included.

    Raises:
        Problem: 400, a field that a local model cannot follow or a value out of range; 404, another path.
    """
    if path not in (CHAT, TEXT):
        raise Problem(404, f"a local model answers {CHAT} and {TEXT}, got {path}", code="unknown_url")
    _refuse_unserved(body)
    messages = _messages(body) if path == CHAT else (Message("user", _prompt(body.get("prompt"))),)
    if policy.system is not None and policy.prompt == "chat" and not any(turn.role == "system" for turn in messages):
        messages = (Message("system", policy.system), *messages)
    asked = replace(
        policy,
        system=None,
        votes=1,
        temperature=_number(body, "temperature", policy.temperature, least=0.0, most=2.0),
        top_p=_number(body, "top_p", policy.top_p, least=1e-6, most=1.0),
        max_tokens=_longest(body, policy.max_tokens),
    )
    options = body.get("stream_options")
    told = isinstance(options, dict) and options.get("include_usage") is True
    return LocalRequest(messages, asked, _stops(body.get("stop"), policy), _whole(body, "seed"), told)


def _refuse_unserved(body: dict[str, Any]) -> None:
    for field in _UNSERVED:
        if body.get(field):
            raise _invalid(field, f"a local model does not take {field!r}")
    for field in ("n", "best_of"):
        if body.get(field) not in (None, 1):
            raise _invalid(field, f"a local model gives one answer, got {field}={body[field]!r:.40}")
    form = body.get("response_format")
    if form is not None and not (isinstance(form, dict) and form.get("type") == "text"):
        raise _invalid("response_format", "a local model answers in text only")


def _messages(body: dict[str, Any]) -> tuple[Message, ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _invalid("messages", "messages must be a list of at least one message")
    return tuple(_message(turn, f"messages.{i}") for i, turn in enumerate(messages))


def _message(turn: Any, where: str) -> Message:
    role = _ROLES.get(str(turn.get("role"))) if isinstance(turn, dict) else None
    if role is None:
        raise _invalid(f"{where}.role", f"a local model takes the roles {', '.join(_ROLES)}")
    text = text_of(turn.get("content"))
    if text is None:
        raise _invalid(f"{where}.content", "a local model reads text only")
    return Message(cast(Role, role), text)


def _prompt(prompt: Any) -> str:
    if isinstance(prompt, list) and len(prompt) == 1:
        [prompt] = prompt
    if not isinstance(prompt, str) or not prompt.strip():
        raise _invalid("prompt", "prompt must be one text that is not blank")
    return prompt


def _longest(body: dict[str, Any], policy: int) -> int:
    for field in ("max_completion_tokens", "max_tokens"):
        if (value := _whole(body, field)) is not None:
            if value < 1:
                raise _invalid(field, f"{field} must be >= 1, got {value}")
            return value
    return policy


def _whole(body: dict[str, Any], field: str) -> int | None:
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**63:
        raise _invalid(field, f"{field} must be a whole number, got {value!r:.40}")
    return value


def _number(body: dict[str, Any], field: str, otherwise: float, *, least: float, most: float) -> float:
    value = body.get(field)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _invalid(field, f"{field} must lie in [{least:g}, {most:g}], got {value!r:.40}")
    return float(value)


def _stops(stop: Any, policy: DecodingPolicy) -> tuple[str, ...]:
    own = ("\n",) if policy.prompt == "few_shot" else ()
    told = [] if stop is None else stop if isinstance(stop, list) else [stop]
    if len(told) > _MOST_STOPS or not all(isinstance(one, str) and one for one in told):
        raise _invalid("stop", f"stop must be a text that is not empty, or at most {_MOST_STOPS} of them")
    return (*own, *told)


def _invalid(param: str, message: str) -> Problem:
    return Problem(400, message, code="invalid_value", param=param)
