"""The input of a response as clients send it: text, or items that may hold parts."""

from __future__ import annotations

from typing import Any

from forethought.gateway.edge.links import LINKS, are_fetchable

_HOLDERS = ("content", "output")
"""Fields of an item that hold parts, or a single one."""

_PARTS = {"properties": dict(LINKS), "items": {"properties": dict(LINKS)}}
INPUT = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "array",
            "items": {"type": "object", "properties": {**LINKS, **dict.fromkeys(_HOLDERS, _PARTS)}},
        },
    ]
}
"""JSON Schema of what `is_input` accepts."""


def is_input(value: Any) -> bool:
    """Whether a parsed value is the input of a response."""
    return type(value) is str or (type(value) is list and all(map(_is_item, value)))


def _is_item(item: Any) -> bool:
    return type(item) is dict and are_fetchable(item) and all(_are_parts(item.get(name)) for name in _HOLDERS)


def _are_parts(held: Any) -> bool:
    """Whether no part links elsewhere; what else it holds is the upstream's to judge."""
    parts = held if type(held) is list else (held,)
    return all(are_fetchable(part) for part in parts if type(part) is dict)
