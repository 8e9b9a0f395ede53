"""A streamed answer as it is read: what of it may be passed on, and whether it ended as it should."""

from __future__ import annotations

from forethought.gateway.upstreams.base import UpstreamFailure, UpstreamRequest
from forethought.gateway.upstreams.dialects import StreamError, closing_of, reading_of
from forethought.gateway.upstreams.events import EventSplitter, data_of
from forethought.gateway.upstreams.refusal import refusal_within


class AnswerStream:
    """Takes bytes as they come and gives back the events that are whole, unchanged and in order.

    An answer is whole without `[DONE]` once every choice that was asked for has a `finish_reason`; `[DONE]` is taken at
    its word.

    Attributes:
        reading: What the events said.
        content: Whether something of the answer has come.
        ended: Whether the answer has ended as it should.
        last: The event that ended it and all that came after, not yet passed on.
        failure: Why it cannot go on, None while it can.

    Args:
        request: What was asked.
    """

    __slots__ = ("_closing", "_show_usage", "_splitter", "content", "ended", "failure", "last", "reading")

    def __init__(self, request: UpstreamRequest) -> None:
        self.reading = reading_of(request.path, request.body)
        self.content = False
        self.ended = False
        self.last = b""
        self.failure: UpstreamFailure | None = None
        self._closing = closing_of(request.path)
        self._show_usage = request.show_usage
        self._splitter = EventSplitter()

    def take(self, chunk: bytes) -> bytes:
        """The events that are whole with this chunk, without those that are held back or hidden."""
        passed: list[bytes] = []
        try:
            passed.extend(filter(self._passes, self._splitter.feed(chunk)))  # what came before an error is kept
        except ValueError as error:
            self.failure = _failure(error)
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def finish(self) -> bytes:
        """Nothing more comes: what is left to pass on. Sets `failure` where the answer is not whole."""
        rest = self._splitter.rest()
        passed = b""
        if rest.strip() and not self.ended:
            try:
                passed = rest + b"\n\n" if self._passes(rest + b"\n\n") else b""
            except ValueError:
                self.failure = UpstreamFailure("cut", "the stream ended within an event")
                return b""
        if not self.ended and self.reading.whole:
            self.ended, self.last = True, self._closing
        elif not self.ended:
            self.failure = UpstreamFailure("cut", "the stream ended before the answer did")
        return passed

    def _passes(self, event: bytes) -> bool:
        """Read one event; whether it is to be passed on now."""
        if self.ended:
            self.last += event
            return False
        data = data_of(event)
        if not data:
            return True
        meaning = self.reading.read(data)
        if meaning == "content":
            self.content = True
        elif meaning == "end":
            self.ended = True
            self.last = event
            return False
        return meaning != "usage" or self._show_usage


def _failure(error: ValueError) -> UpstreamFailure:
    told = refusal_within(error.error) if isinstance(error, StreamError) else None
    return told or UpstreamFailure(
        "malformed", str(error) if isinstance(error, StreamError) else "bytes that are no answer"
    )
