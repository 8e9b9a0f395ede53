"""The turns of a chat as clients send them."""

from __future__ import annotations

from typing import Any

from forethought.gateway.edge.links import LINKED, LINKS, TOLD, are_fetchable

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
"""Whose turns a chat may hold."""

MAY_BE_SILENT = frozenset({"assistant", "function"})
"""Whose turns may lack content: what they say can stand in a tool call."""

_TEXT_PART = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
}
_LINKED_PARTS = [
    {"type": "object", "required": ["type", kind], "properties": {**LINKS, "type": {"const": kind}, kind: TOLD}}
    for kind in LINKED
]
_OTHER_PART = {
    "type": "object",
    "required": ["type"],
    "properties": {**LINKS, "type": {"type": "string", "not": {"enum": ["text", *LINKED]}}},
}
_CONTENT = [
    {"type": "string"},
    {"type": "array", "minItems": 1, "items": {"anyOf": [_TEXT_PART, *_LINKED_PARTS, _OTHER_PART]}},
]
MESSAGES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "anyOf": [
            {
                "type": "object",
                "required": ["role", "content"],
                "properties": {
                    "role": {"enum": [role for role in ROLES if role not in MAY_BE_SILENT]},
                    "content": {"anyOf": _CONTENT},
                },
            },
            {
                "type": "object",
                "required": ["role"],
                "properties": {
                    "role": {"enum": [role for role in ROLES if role in MAY_BE_SILENT]},
                    "content": {"anyOf": [*_CONTENT, {"type": "null"}]},
                },
            },
        ]
    },
}
"""JSON Schema of what `is_messages` accepts."""

_ROLES = frozenset(ROLES)


def is_messages(value: Any) -> bool:
    """Whether a parsed value is a chat."""
    return type(value) is list and bool(value) and fault_of(value) is None


def fault_of(messages: list[Any]) -> tuple[str, str] | None:
    """The first thing wrong with a chat: where, and what is allowed there; None if it is well."""
    for index, message in enumerate(messages):
        if type(message) is not dict:
            return f"messages[{index}]", "an object"
        role = message.get("role")
        if type(role) is not str or role not in _ROLES:
            return f"messages[{index}].role", f"one of {', '.join(ROLES)}"
        content = message.get("content")
        if type(content) is str or (content is None and role in MAY_BE_SILENT):
            continue
        if type(content) is not list or not content:
            return f"messages[{index}].content", "a string or a non-empty array of parts"
        for number, part in enumerate(content):
            if not _is_part(part):
                return f"messages[{index}].content[{number}]", "a part with a type and what that type needs"
    return None


def _is_part(part: Any) -> bool:
    """Whether a part can be read."""
    if type(part) is not dict or type(kind := part.get("type")) is not str:
        return False
    if kind == "text":
        return type(part.get("text")) is str
    if kind in LINKED and type(part.get(kind)) is not dict:
        return False
    return are_fetchable(part)
