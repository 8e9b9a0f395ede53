"""The fields of a request that the gateway reads: what each may hold, as a check and as the JSON Schema of the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from forethought.gateway.edge.items import INPUT, is_input
from forethought.gateway.edge.messages import MESSAGES, is_messages

MOST_TOKENS = 2**31 - 1
"""Longest answer that may be asked for, tokens."""

MOST_ANSWERS = 128
"""Most answers that one request may ask for."""

_MODEL = re.compile(r"[ -~]{1,256}")
_JSON_TYPES = {bool: "a boolean", str: "a string", list: "an array", dict: "an object", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Field:
    """What one field may hold.

    Attributes:
        wanted: In words, for messages.
        schema: JSON Schema of the same.
        accepts: Whether a parsed value is allowed.
        required: Whether the field must be there; others may also be null.
    """

    wanted: str
    schema: Mapping[str, Any]
    accepts: Callable[[Any], bool]
    required: bool = False

    @property
    def full_schema(self) -> dict[str, Any]:
        """The schema with null, where that is allowed."""
        return dict(self.schema) if self.required else {"anyOf": [dict(self.schema), {"type": "null"}]}


def shown(value: Any) -> str:
    """A value for a message: numbers as they are, of anything else only the type."""
    return _JSON_TYPES.get(type(value)) or str(value)[:32]


def integer(low: int, high: int) -> Field:
    """A whole number from `low` to `high`."""
    return Field(
        f"an integer from {low} to {high}",
        {"type": "integer", "minimum": low, "maximum": high},
        lambda value: type(value) is int and low <= value <= high,
    )


def number(low: float, high: float) -> Field:
    """A finite number from `low` to `high`."""
    return Field(
        f"a number from {low:g} to {high:g}",
        {"type": "number", "minimum": low, "maximum": high},
        lambda value: (type(value) is float or type(value) is int) and low <= value <= high,
    )


def array_of_objects() -> Field:
    """A list of objects."""
    return Field("an array of objects", {"type": "array", "items": {"type": "object"}}, _is_objects)


def _is_objects(value: Any) -> bool:
    return type(value) is list and all(type(item) is dict for item in value)


def _is_texts(value: Any) -> bool:
    return type(value) is list and bool(value) and all(type(item) is str for item in value)


def _is_tokens(value: Any) -> bool:
    return type(value) is list and bool(value) and all(map(_is_token, value))


def _is_token(value: Any) -> bool:
    whole = type(value) is int or (type(value) is float and value.is_integer())
    return whole and 0 <= value < 2**31


def _is_prompt(value: Any) -> bool:
    if type(value) is str or _is_texts(value) or _is_tokens(value):
        return True
    return type(value) is list and bool(value) and all(_is_tokens(item) for item in value)


def _is_stream_options(value: Any) -> bool:
    return type(value) is dict and type(value.get("include_usage")) in (bool, type(None))


def _is_response_format(value: Any) -> bool:
    return type(value) is dict and type(value.get("type")) is str


_TOKENS = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}}
_PROMPT = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "minItems": 1, "items": {"type": "string"}},
        _TOKENS,
        {"type": "array", "minItems": 1, "items": _TOKENS},
    ]
}

_BOOLEAN = Field("a boolean", {"type": "boolean"}, lambda value: type(value) is bool)
_MODEL_NAME = Field(
    "1 to 256 printable ASCII characters",
    {"type": "string", "pattern": "^[ -~]{1,256}$"},
    lambda value: type(value) is str and _MODEL.fullmatch(value) is not None,
    required=True,
)
_PROMPTS = Field("a string, or an array of strings or tokens", _PROMPT, _is_prompt, required=True)
_STREAM_OPTIONS = Field(
    "an object whose include_usage is a boolean",
    {
        "type": "object",
        "properties": {"include_usage": {"type": ["boolean", "null"]}},
    },
    _is_stream_options,
)
_RESPONSE_FORMAT = Field(
    "an object with a type",
    {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}},
    _is_response_format,
)

_SAMPLING: Mapping[str, Field] = {
    "model": _MODEL_NAME,
    "stream": _BOOLEAN,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
}
_CHOICES: Mapping[str, Field] = {
    "n": integer(1, MOST_ANSWERS),
    "max_tokens": integer(1, MOST_TOKENS),
    "stream_options": _STREAM_OPTIONS,
    "response_format": _RESPONSE_FORMAT,
}

_OWN: Mapping[str, Mapping[str, Field]] = {
    "/chat/completions": {
        **_SAMPLING,
        **_CHOICES,
        "messages": Field("a non-empty array of messages", MESSAGES, is_messages, required=True),
        "max_completion_tokens": integer(1, MOST_TOKENS),
        "logprobs": _BOOLEAN,
        "top_logprobs": integer(0, 20),
        "tools": array_of_objects(),
        "functions": array_of_objects(),
    },
    "/completions": {
        **_SAMPLING,
        **_CHOICES,
        "prompt": _PROMPTS,
        "best_of": integer(1, MOST_ANSWERS),
        "logprobs": integer(0, 20),
        "echo": _BOOLEAN,
    },
    "/responses": {
        **_SAMPLING,
        "input": Field(
            "a string, or an array of objects whose links begin with http://, https:// or data:",
            INPUT,
            is_input,
            required=True,
        ),
        "max_output_tokens": integer(1, MOST_TOKENS),
        "tools": array_of_objects(),
    },
    "/embeddings": {"model": _MODEL_NAME, "input": _PROMPTS, "dimensions": integer(1, MOST_TOKENS)},
}

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def _misplaced(name: str) -> Field:
    """A limit that an upstream would not read on this path, so that it would answer without one."""
    belongs = " and ".join(sorted((path for path, own in _OWN.items() if name in own), key=len))
    return Field(f"left out, since it belongs to {belongs}", {"not": {}}, lambda value: False)


FIELDS: Mapping[str, Mapping[str, Field]] = {
    path: {**{name: _misplaced(name) for name in _LIMITS if name not in own}, **own} for path, own in _OWN.items()
}
"""By path below the API's root. A field that is not here is nobody's business but the upstream's."""
