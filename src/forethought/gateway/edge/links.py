"""Links within a request, which an upstream fetches: to the web or with their data in them, never to its own files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LINKED = ("image_url", "audio_url", "video_url", "file_url")
"""Fields that hold a link, as a string or as `{"url": ...}`, by the API and the age of a client."""

_SCHEMES = ("http://", "https://", "data:")

_URL = {"type": "string", "pattern": "^(http://|https://|data:)"}
TOLD: Mapping[str, Any] = {"type": "object", "required": ["url"], "properties": {"url": _URL}}
"""JSON Schema of a link that is told as an object."""

LINKS: Mapping[str, Any] = {name: {"anyOf": [_URL, TOLD, {"type": "null"}]} for name in LINKED}
"""JSON Schemas of what `are_fetchable` accepts, by field."""


def are_fetchable(part: Mapping[str, Any]) -> bool:
    """Whether every link that stands in a part is one to the web, or holds its data."""
    for name in LINKED:
        link = part.get(name)
        if link is None:
            continue
        url = link.get("url") if type(link) is dict else link
        if type(url) is not str or not url.startswith(_SCHEMES):
            return False
    return True
