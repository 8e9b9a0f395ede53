"""A light load generator: HTTP/1.1 on raw protocols, since it shares two cores with what is measured."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

from wire import TEXT, Pace, request, whole_stream

from forethought.errors import UpstreamError

LONGEST = 300
"""Seconds after which a closed loop is given up."""
LONGEST_HEAD = 16384
PATIENCE = 60
"""Seconds beyond their own length after which streams are given up."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a load goes, and the key it shows."""

    port: int
    key: str = "none"


@dataclass(slots=True)
class Load:
    """Requests one after the other on each of some connections.

    Attributes:
        left: Requests still to be sent.
        latencies: Seconds of each that was answered.
        seconds: Wall clock of all.
    """

    left: int
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


@dataclass(frozen=True, slots=True)
class Streamed:
    """What became of one stream.

    Attributes:
        first: Seconds from the request to its first token.
        whole: Whether it is the upstream's stream, byte for byte but for comments.
    """

    first: float
    whole: bool


async def closed_loop(endpoint: Endpoint, message: bytes, connections: int, requests: int) -> Load:
    """Send one message again and again, each connection as soon as its last answer is there.

    Raises:
        UpstreamError: An answer was no 200 with the mock's text, or a connection was lost.
    """
    load = Load(requests)
    start = time.perf_counter()
    clients = [_Repeating(load, message) for _ in range(connections)]
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LONGEST):
        for client in clients:
            await loop.create_connection(lambda client=client: client, "127.0.0.1", endpoint.port)
        await asyncio.gather(*(client.done for client in clients))
    load.seconds = time.perf_counter() - start
    return load


async def streams(endpoint: Endpoint, pace: Pace, count: int, over: float) -> list[Streamed]:
    """Open streams evenly over some seconds, each on a connection of its own, and read them to their ends."""
    start = asyncio.get_running_loop().time()

    async def one(i: int) -> Streamed:
        await asyncio.sleep(start + over * i / count - asyncio.get_running_loop().time())
        return await _stream(endpoint, pace, i + 1)

    async with asyncio.timeout(over + pace.tokens * pace.seconds + PATIENCE):
        return await asyncio.gather(*map(one, range(count)))


async def ask(endpoint: Endpoint, message: bytes) -> bytes:
    """Every byte that came back on a connection of its own, whole or not.

    Raises:
        OSError: Nobody listens.
    """
    return bytes((await _read(endpoint, message)).buffer)


async def _stream(endpoint: Endpoint, pace: Pace, nonce: int) -> Streamed:
    client = await _read(endpoint, request(pace.model, endpoint.key, nonce=nonce, stream=True))
    status, body = split(bytes(client.buffer))
    whole = status == 200 and without_comments(body) == whole_stream(nonce, pace.tokens)
    return Streamed(client.first, whole)


async def _read(endpoint: Endpoint, message: bytes) -> _Reading:
    client = _Reading(message)
    await asyncio.get_running_loop().create_connection(lambda: client, "127.0.0.1", endpoint.port)
    await client.done
    return client


class _Repeating(asyncio.Protocol):
    """One connection of a closed loop."""

    def __init__(self, load: Load, message: bytes) -> None:
        self.load, self.message = load, message
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(UpstreamError("a connection was lost before its answer was whole"))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if (end := self.buffer.find(b"\r\n\r\n")) < 0:
            return
        head = self.buffer[:end].lower()
        length = int(head[head.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0])
        if len(self.buffer) >= end + 4 + length:
            self._answered()

    def _answered(self) -> None:
        if not self.buffer.startswith(b"HTTP/1.1 200") or TEXT not in self.buffer:
            self.done.set_exception(UpstreamError(f"an answer was none: {self.buffer[:500]!r}"))
            self.transport.close()
            return
        self.load.latencies.append(time.perf_counter() - self.sent)
        self._send()

    def _send(self) -> None:
        if self.load.left <= 0:
            self.done.set_result(None)
            self.transport.close()
            return
        self.load.left -= 1
        self.buffer = b""
        self.sent = time.perf_counter()
        self.transport.write(self.message)


class _Reading(asyncio.Protocol):
    """Sends one request and keeps every byte until the answer or the connection ends."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.buffer = bytearray()
        self.first = float("inf")
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.sent = time.perf_counter()
        self.transport.write(self.message)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.first == float("inf") and b"data:" in self.buffer:
            self.first = time.perf_counter() - self.sent
        if ended(self.buffer):
            self.transport.close()


def ended(raw: bytes | bytearray) -> bool:
    """Whether an answer's bytes are all there."""
    if (end := raw.find(b"\r\n\r\n", 0, LONGEST_HEAD)) < 0:
        return False
    _, found, length = bytes(raw[:end]).lower().partition(b"\r\ncontent-length:")
    if found:
        return len(raw) - end - 4 >= int(length.split(b"\r\n", 1)[0])
    return raw.endswith(b"0\r\n\r\n")


def split(raw: bytes) -> tuple[int | None, bytes]:
    """Status and body of an answer without its chunks' frames; no status where no head came."""
    head, found, body = raw.partition(b"\r\n\r\n")
    if not found:
        return None, b""
    if b"transfer-encoding: chunked" in head.lower():
        body = _unframed(body)
    return int(head.split(b" ", 2)[1]), body


def without_comments(events: bytes) -> bytes:
    """An event stream as its reader sees it: a block that starts with a colon says nothing to it."""
    return b"\n\n".join(block for block in events.split(b"\n\n") if not block.startswith(b":"))


def _unframed(framed: bytes) -> bytes:
    pieces, at = [], 0
    while (end := framed.find(b"\r\n", at)) >= 0 and (size := int(framed[at:end], 16)):
        pieces.append(framed[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(pieces)
