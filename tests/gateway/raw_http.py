"""A client of bare sockets, which can tell an answer that ended from one that was cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any, Self

CHAT = "/v1/chat/completions"


def chat(model: str, text: str = "hello", **rest: Any) -> dict[str, Any]:
    """The body of a chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **rest}


@dataclass
class Heard:
    """What came back.

    Attributes:
        whole: Whether the body ended as HTTP says that it must.
        first: Seconds until its first byte.
        seconds: Until its end.
    """

    status: int
    headers: dict[str, str]
    body: bytes = b""
    whole: bool = False
    first: float = 0.0
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[str]:
        """The data of each event; comments are none."""
        found = (event for event in self.body.decode().split("\n\n") if event)
        return [event.removeprefix("data: ") for event in found if not event.startswith(":")]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(event) for event in self.events if event != "[DONE]"]

    @property
    def error(self) -> dict[str, Any]:
        """The error object, whether it is the answer or an event of a stream; empty where there is none."""
        streamed = self.headers.get("content-type", "").startswith("text/event-stream")
        told = self.chunks if streamed else [self.json] if self.whole else []
        return next((each["error"] for each in told if "error" in each), {})

    @property
    def text(self) -> str:
        """The words of a chat completion, as far as they came."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            choices = [choice for chunk in self.chunks for choice in chunk.get("choices", ())]
            return "".join(choice["delta"].get("content") or "" for choice in choices)
        choices = self.json.get("choices") or [{}] if self.whole else [{}]
        return choices[0].get("message", {}).get("content") or ""

    @property
    def ended(self) -> bool:
        """Whether a client takes it for a whole answer."""
        streamed = self.headers.get("content-type", "").startswith("text/event-stream")
        return self.whole and (not streamed or self.events[-1:] == ["[DONE]"])

    @property
    def decision(self) -> str:
        return self.headers["x-forethought-decision"]


@dataclass
class Wire:
    """One connection, for one request after the other."""

    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent: float = field(default=0.0)

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(port, *await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, body: Any = None, *, path: str = CHAT, key: str | None = None, **headers: str) -> Heard:
        """POST where there is a body, else GET, and read until the end or the cut."""
        await self.send(body, path=path, key=key, **headers)
        heard = await self.head()
        await self.read(heard)
        return heard

    async def send(self, body: Any = None, *, path: str = CHAT, key: str | None = None, **headers: str) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "host: 127.0.0.1"]
        if body is not None:
            lines += ["content-type: application/json", f"content-length: {len(data)}"]
        if key is not None:
            lines.append(f"authorization: Bearer {key}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.sent = time.monotonic()
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await self.writer.drain()

    async def head(self) -> Heard:
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        return Heard(int(status.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs})

    async def read(self, heard: Heard) -> None:
        """Read a body to its end, or as far as it comes."""
        try:
            if heard.headers.get("transfer-encoding") == "chunked":
                while (piece := await self.piece(heard)) is not None:
                    heard.body += piece
            else:
                heard.body = await self.reader.readexactly(int(heard.headers.get("content-length", 0)))
            heard.whole = True
        except asyncio.IncompleteReadError as cut:
            heard.body += cut.partial if "content-length" in heard.headers else b""
        except ConnectionError:
            pass
        heard.seconds = time.monotonic() - self.sent

    async def piece(self, heard: Heard) -> bytes | None:
        """The next piece of a body in chunks; None at its end."""
        size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
        data = (await self.reader.readexactly(size + 2))[:-2]
        heard.first = heard.first or time.monotonic() - self.sent
        return data if size else None

    def abort(self) -> None:
        """Hang up at once."""
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def once(port: int, body: Any = None, *, path: str = CHAT, key: str | None = None, **headers: str) -> Heard:
    """One request on a connection of its own."""
    wire = await Wire.open(port)
    try:
        return await wire.ask(body, path=path, key=key, **headers)
    finally:
        await wire.close()


async def crowd(ports: list[int], bodies: list[Any], together: int, *, key: str | None = None) -> list[Heard]:
    """Ask for everything, so many at a time, each client on a connection of its own that lasts; in order."""
    heard: list[Any] = [None] * len(bodies)
    left = iter(range(len(bodies)))

    async def client(port: int) -> None:
        wire = await Wire.open(port)
        try:
            for i in left:
                heard[i] = await wire.ask(bodies[i], key=key)
                if not heard[i].whole or heard[i].headers.get("connection") == "close":
                    await wire.close()
                    wire = await Wire.open(port)
        finally:
            await wire.close()

    async with asyncio.TaskGroup() as group:
        for i in range(together):
            group.create_task(client(ports[i % len(ports)]))
    return heard
