"""Server-sent events (WHATWG HTML, section 9.2), split without changing a byte."""

from __future__ import annotations

import re

_END = re.compile(rb"\n\r?\n")
_LONGEST = 32 * 2**20
"""Bytes of one event; an image in base64 fits, an upstream that never ends one does not fill the memory."""


class EventSplitter:
    """Cuts a byte stream after each blank line, however the network cut it.

    Lines end in LF or CRLF; a lone CR, which the standard allows too, ends none: no server of this API sends it.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that are whole now, their blank line included.

        Raises:
            ValueError: An event of more than 32 MiB.
        """
        data: bytes | bytearray = chunk
        start = scan = 0
        if self._rest:
            scan = max(0, len(self._rest) - 2)  # its end may be half there
            self._rest += chunk
            data = self._rest
        events = []
        while (end := _END.search(data, scan)) is not None:
            scan = end.end()
            events.append(bytes(data[start:scan]))
            start = scan
        if data is self._rest:
            del self._rest[:start]
        else:
            self._rest += data[start:]
        if len(self._rest) > _LONGEST:
            raise ValueError(f"an event of more than {_LONGEST} bytes")
        return events

    def rest(self) -> bytes:
        """What has come of an event without an end."""
        return bytes(self._rest)


def data_of(event: bytes) -> bytes | None:
    """The data of one event, several lines joined by LF; None where it has none, as a comment."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2:
        return event[6:-2]
    lines = [
        line[5:].removeprefix(b" ").removesuffix(b"\r") for line in event.split(b"\n") if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None
