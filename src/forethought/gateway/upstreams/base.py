"""What an upstream is, what it replies, and the ways in which it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from forethought.errors import UpstreamError

Failure = Literal["connect", "reset", "timeout", "stall", "cut", "malformed", "status", "resting"]
"""No connection; lost before a reply; silence before the first token; silence within an answer; an answer that
stopped before its end; bytes that are no answer; a status that is no success; a breaker that is open."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What one upstream is asked.

    Attributes:
        path: Below its `base_url`, such as `/chat/completions`.
        body: JSON.
        stream: Whether events are expected.
        headers: Of the client, those that upstreams are shown.
        show_usage: Whether the client asked for the usage of a stream; where the gateway alone did, the event
            that tells it is not passed on.
    """

    path: str
    body: bytes
    stream: bool = False
    headers: Mapping[str, str] | None = None
    show_usage: bool = True


class Reply(Protocol):
    """The head of an upstream's reply, with its body still to be read."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, several network reads in one where they are already there.

        Raises:
            UpstreamFailure: `stall`, `cut` or `reset`.
        """

    async def aclose(self) -> None:
        """Close; a body that was not read to its end closes the connection too."""


class Upstream(Protocol):
    """Answers requests of one target in OpenAI's wire format: an endpoint elsewhere, or a model in this process."""

    async def open(self, request: UpstreamRequest) -> Reply:
        """Send a request and read the reply's head.

        Cancelling the task closes the connection.

        Raises:
            UpstreamFailure: `connect`, `reset` or `timeout`.
        """

    async def aclose(self) -> None:
        """Close every connection."""


class UpstreamFailure(UpstreamError):  # noqa: N818 - it is one, of the kind that is survived
    """One attempt that failed.

    Args:
        kind: How.
        message: For logs and headers: no key, no prompt, no body of an error.
        status: HTTP status where a reply came.
        retry_after: Seconds that the upstream asked to wait.
        reply: Body of the error reply, for the client of a request that is passed through.
    """

    def __init__(
        self,
        kind: Failure,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        reply: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.reply = reply
