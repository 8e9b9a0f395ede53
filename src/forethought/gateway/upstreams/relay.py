"""The relay: a streamed answer on its way from an upstream to a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, NoReturn

from forethought.gateway.base import Account, Delivery
from forethought.gateway.upstreams.base import Reply, UpstreamFailure
from forethought.gateway.upstreams.stream import AnswerStream
from forethought.gateway.upstreams.trial import Trial

_GRACE = 0.05
"""Seconds that an upstream has to close a body whose answer has ended; then its connection is closed, not reused."""


class Relay(AsyncGenerator[bytes, None]):
    """The pieces of a `Delivery`. A class of its own, since a generator that never ran cannot be closed.

    What came before the first content is held, so that a failure until then is free to be tried elsewhere. A
    failure after it is raised, whatever it is: an answer is never resumed, repeated or ended by the gateway.

    Args:
        reply: The head that has come.
        trial: The attempt that it belongs to.
        account: Whose ending is set.
        until: Time of the trial's clock at which everything must have come.
    """

    def __init__(self, reply: Reply, trial: Trial, account: Account, until: float) -> None:
        self._reply = reply
        self._chunks = reply.chunks()
        self._trial = trial
        self._account = account
        self._stream = AnswerStream(trial.rung.request)
        self._until = until
        self._held = b""
        self._over = False
        kind = reply.headers.get("content-type", "text/event-stream")
        self.delivery = Delivery(reply.status, kind, trial.rung.target, pieces=self)

    async def begin(self) -> Delivery:
        """Read up to the first content.

        Raises:
            UpstreamFailure: None came.
        """
        stream = self._stream
        held = []
        while not (stream.content or stream.ended):
            held.append(await self._read())
            if stream.failure is not None:
                raise stream.failure
        if stream.ended and not (stream.content or stream.reading.whole):
            raise UpstreamFailure("cut", "the stream ended without an answer", status=self._trial.status)
        self._held = b"".join(held)
        self._trial.began()
        return self.delivery

    async def __anext__(self) -> bytes:
        try:
            while not self._held:
                if self._over:
                    raise StopAsyncIteration
                if self._stream.failure is not None:
                    raise self._stream.failure
                if self._stream.ended:
                    await self._complete()
                else:
                    self._held = await self._read()
        except UpstreamFailure as failure:
            self._account.ending = "truncated"
            self._trial.fail(failure)
            await self._close()
            raise
        except asyncio.CancelledError:
            await self.aclose()
            raise
        piece, self._held = self._held, b""
        return piece

    async def aclose(self) -> None:
        """Stop; an answer that was not read to its end is entered as cancelled and its connection closed."""
        if not self._over:
            if self._account.ending != "ok":
                self._account.ending = "cancelled"
            self._trial.cancel()
            await self._close()

    async def asend(self, value: None) -> bytes:
        """The next piece."""
        return await self.__anext__()

    async def athrow(self, kind: Any, value: Any = None, traceback: Any = None) -> NoReturn:
        """Stop, and raise what was thrown."""
        await self.aclose()
        raise kind if value is None else value

    async def _read(self) -> bytes:
        """What one network read lets through; may be nothing."""
        trial, stream = self._trial, self._stream
        try:
            chunk = await self._chunks.__anext__()
        except StopAsyncIteration:
            passed = stream.finish()
        else:
            passed = stream.take(chunk)
            if trial.left(self._until) < 0 and stream.failure is None and not stream.ended:
                stream.failure = UpstreamFailure("timeout", "longer than a request may take", status=trial.status)
        trial.usage, trial.tokens = stream.reading.usage, stream.reading.tokens
        return passed

    async def _complete(self) -> None:
        """The answer is whole: let the body end, so that the connection can be used again, and enter it."""
        try:
            async with asyncio.timeout(_GRACE):
                async for chunk in self._chunks:
                    self._stream.take(chunk)
        except (TimeoutError, UpstreamFailure):
            pass
        self._trial.usage = self._stream.reading.usage
        self._trial.succeed()
        self._account.ending = "truncated" if self._stream.reading.failed else "ok"
        self.delivery.last = self._stream.last
        await self._close()

    async def _close(self) -> None:
        self._over = True
        self._held = b""
        await self._reply.aclose()
