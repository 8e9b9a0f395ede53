"""A mock upstream on PORT: answers at once, or streams at the pace that the model's name says; `GET /served` counts."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop
from wire import ANSWER, Question, end_of_stream, read_question, token_event

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s\r\n\r\n"
_STREAM_HEAD = _HEAD % (b"text/event-stream", b"transfer-encoding: chunked")


def _whole(body: bytes) -> bytes:
    return _HEAD % (b"application/json", b"content-length: %d" % len(body)) + body


_ANSWER = _whole(ANSWER)


class Upstream(asyncio.Protocol):
    """One connection."""

    served = 0
    """Answers begun since the process started, over all connections: what an upstream would bill."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.buffer = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            _, found, rest = head.partition(b"\r\ncontent-length:")
            whole = end + 4 + (int(rest.split(b"\r\n", 1)[0]) if found else 0)
            if len(self.buffer) < whole:
                return
            body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get /served"):
            self.transport.write(_whole(b"%d" % Upstream.served))
            return
        Upstream.served += 1
        question = read_question(body)
        if question.stream:
            self.transport.write(_STREAM_HEAD)
            self._stream(question, 0, asyncio.get_running_loop().time())
        else:
            self.transport.write(_ANSWER)

    def _stream(self, question: Question, i: int, start: float) -> None:
        tokens, seconds = question.pace
        self._event(token_event(question.nonce, i))
        if i + 1 < tokens:
            # Due by the clock of the whole stream: a late token does not delay those that follow.
            at = start + (i + 1) * seconds
            self.timer = asyncio.get_running_loop().call_at(at, self._stream, question, i + 1, start)
        else:
            self._event(end_of_stream(question.usage))
            self.transport.write(b"0\r\n\r\n")

    def _event(self, event: bytes) -> None:
        self.transport.write(b"%x\r\n%s\r\n" % (len(event), event))


async def serve(port: int) -> asyncio.Server:
    """Listen on loopback; port 0 takes any."""
    return await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)


async def _main(port: int) -> None:
    server = await serve(port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
