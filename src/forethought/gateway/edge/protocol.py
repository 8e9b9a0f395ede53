"""HTTP/1.1 on a socket, within limits: uvicorn's protocol with what it leaves open closed.

What llhttp refuses by itself: Content-Length beside Transfer-Encoding, two Content-Lengths, folded headers, bare line
feeds, space before a colon. What is added here: how long and how large heads, trailers and chunk extensions may be, how
long a request may take to come, how many connections there may be, and what a head must not hold.
"""

from __future__ import annotations

import re
from asyncio import TimerHandle, Transport
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from forethought.gateway.config import Limits
from forethought.gateway.edge.hang_up import EXTENSION, HangUp
from forethought.gateway.problems import Problem

MOST_HEADERS = 200
"""Header lines of one request."""

MOST_WAITING = 16
"""Requests that may wait on one connection behind the one that is answered."""

MOST_PIECES = 4096
LEAST_PIECE = 16
"""Pieces that a body may come in, or more if they hold so many bytes on average: each costs a callback, and three
million chunks of one byte would hold up everybody else for seconds."""

LINGER = 2.0
"""Seconds in which a client may read why it was turned away before its connection is reset."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ONCE = frozenset({b"host", b"authorization", b"content-type", b"origin", b"x-forethought-csrf"})


def guarded(limits: Limits) -> type[GuardedProtocol]:
    """The protocol under certain limits, as a class because uvicorn makes the instances."""
    return type("GuardedProtocol", (GuardedProtocol,), {"limits": limits})


class GuardedProtocol(HttpToolsProtocol):
    """One connection.

    A request that is turned away here gets OpenAI's error object where no other answer has begun, then the connection
    ends: 400, 408 (too slow), 431 (head too large), 503 (too many connections).
    """

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deaf = False
        self._head_open = False
        self._fed_head = False
        self._pieces = 0
        self._taken = 0
        self._dry = 0  # bytes since a head ended or a piece of a body came
        self._fed = False
        self._problem: Problem | None = None
        self._hang_up = HangUp()
        self._deadline: TimerHandle | None = None
        self._watched: float | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=self.limits.buffer_bytes)
        excess = len(self.connections) - self.limits.connections
        if excess > self.limits.connections:
            transport.abort()
        elif excess > 0:
            self._turn_away(
                Problem(
                    503,
                    "too many connections; try again",
                    code="too_many_connections",
                    headers={"retry-after": "1"},
                )
            )
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel_deadline()
        self._deaf = True
        super().connection_lost(exc)
        self._hang_up.lost()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see how long what is still to come may take."""
        if self._deaf:
            return
        self._fed = self._fed_head = False
        super().data_received(data)
        self._dry = 0 if self._fed else self._dry + len(data)
        if self._dry > self.limits.header_bytes and not self._deaf:
            self._turn_away(_too_large(self.limits))
        self._watch()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head_open = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is whole: check it before the application sees it."""
        self._head_open = False
        self._fed = self._fed_head = True
        if (problem := self._fault_of_head()) is not None:
            self._problem = problem
            raise _TurnedAwayError
        super().on_headers_complete()
        self.scope["extensions"] = {EXTENSION: {"connection": self._hang_up}}
        self._pieces = self._taken = 0
        self.headers = []  # what trailers add must not reach the application's
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False
            self._deaf = True  # llhttp reads no further, and what follows must not pass for a request

    def on_body(self, body: bytes) -> None:
        """A piece of the body came."""
        self._fed = True
        self._pieces += 1
        self._taken += len(body)
        if self._pieces > MOST_PIECES and self._taken < LEAST_PIECE * self._pieces:
            self._problem = _invalid("the body comes in too many too small pieces")
            raise _TurnedAwayError
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Hang up where the body of an answered request is still to come: nobody will read it."""
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._linger()

    def send_400_response(self, msg: str) -> None:
        """Turn away what the parser, or the check of a head, refused."""
        self._turn_away(self._problem or Problem(400, "the request is not HTTP/1.1", code="invalid_http"))

    def _fault_of_head(self) -> Problem | None:
        size, hosts, seen = len(self.url), 0, set()
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            if name in _ONCE:
                if name in seen:
                    return _invalid(f"the header {name.decode()} stands there twice")
                seen.add(name)
                if name == b"host":
                    hosts = 1
                    if _HOST.fullmatch(value) is None:
                        return _invalid("the header host is no host")
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                return _invalid("transfer-encoding may only be chunked")
        if size > self.limits.header_bytes or len(self.headers) > MOST_HEADERS:
            return _too_large(self.limits)
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            return _invalid("the request is not HTTP/1.1")
        if not hosts and version == "1.1":
            return _invalid("the header host is missing")
        if len(self.pipeline) >= MOST_WAITING:
            return _invalid("too many requests wait on this connection")
        return None

    def _watch(self) -> None:
        """Hold whoever owes the rest of a head or a body to its time."""
        owed = self._owed()
        if owed == self._watched and (owed is None or not self._fed_head):
            return
        self._cancel_deadline()
        self._watched = owed
        if owed is not None:
            self._deadline = self.loop.call_later(owed, self._late)

    def _owed(self) -> float | None:
        """Seconds that what is still to come of a request may take; None where nothing is."""
        cycle = self.cycle
        if self._deaf:
            return None
        if self._head_open or cycle is None or cycle.response_complete:
            return self.limits.header_seconds
        return self.limits.body_seconds if cycle.more_body else None

    def _cancel_deadline(self) -> None:
        self._watched = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = self._watched = None
        if self._deaf or self.transport.is_closing():
            return
        if self._dry == 0 and not self._head_open and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()  # it never said a word
        else:
            self._turn_away(Problem(408, "the request did not come whole in time", code="request_timeout"))

    def _turn_away(self, problem: Problem) -> None:
        """Answer, if that cannot be taken for the answer to another request, and hang up."""
        self._cancel_deadline()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            answerable = not self.pipeline and cycle.more_body and not cycle.response_started
            cycle.disconnected = True
            cycle.message_event.set()
            if not answerable:
                self._deaf = True
                self.transport.close()
                return
        body = problem.body
        lines = [STATUS_LINE[problem.status], b"content-type: application/json\r\nconnection: close\r\n"]
        lines += [f"{name}: {value}\r\n".encode() for name, value in problem.headers.items()]
        lines += [b"content-length: %d\r\n\r\n" % len(body), body]
        self.transport.write(b"".join(lines))
        self._linger()

    def _linger(self) -> None:
        """Say no more and listen to nothing: closing at once would reset what the client has not read yet."""
        self._deaf = True
        self._cancel_deadline()
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)


class _TurnedAwayError(Exception):
    """Ends the parser's run; what was wrong is kept by the protocol."""


def _invalid(message: str) -> Problem:
    return Problem(400, message, code="invalid_http")


def _too_large(limits: Limits) -> Problem:
    return Problem(
        431,
        f"the request's head is longer than {limits.header_bytes} bytes or {MOST_HEADERS} headers",
        code="head_too_large",
    )
