"""A whole gateway on a free port of loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forethought.gateway import GatewayConfig, Services, serve
from forethought.gateway.base import Key
from forethought.gateway.keys import new_key
from forethought.gateway.serve import bind


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Running:
    """A gateway that serves, and ways to ask it."""

    def __init__(self, services: Services, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.services = services
        self.port = port
        self.loop = loop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def events(self, path: str, body: Any, *, key: str | None = None) -> list[str]:
        """The events of a streamed answer, comments included; raises where the body ends early."""
        answer = self.ask(path, {**body, "stream": True}, key=key)
        assert answer.status == 200, answer.body
        return [event for event in answer.body.decode().split("\n\n") if event]

    def do(self, work: Any) -> Any:
        """Run a coroutine in the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def new_key(self, **limits: Any) -> str:
        """A new key's text."""
        id, text, digest = new_key()
        self.do(self.services.ledger.create_key(Key(id=id, **limits), digest))
        return text

    def ask(
        self, path: str, body: Any = None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """POST where there is a body, else GET; errors are answers. `//healthz` lies outside `/v1`."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json", **(headers or {})}
        if key is not None:
            given["authorization"] = f"Bearer {key}"
        url = self.url + path if not path.startswith("//") else self.url.removesuffix("/v1") + path[1:]
        request = urllib.request.Request(url, data, given)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return Answer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def chat(self, model: str, text: str = "hello", *, key: str | None = None, **body: Any) -> Answer:
        return self.ask(
            "/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}], **body}, key=key
        )


@contextlib.contextmanager
def running(config: GatewayConfig, *, loopback: bool = True, encoder: Any = None) -> Iterator[Running]:
    listening = bind("127.0.0.1", 0)
    ready, box = threading.Event(), {}

    async def main() -> None:
        box["loop"], box["until"] = asyncio.get_running_loop(), asyncio.Event()
        services = box["services"] = Services(config, loopback=loopback, encoder=encoder)
        task = asyncio.create_task(serve(services, listening, box["until"]))
        while not task.done() and not _answers(listening.getsockname()[1]):
            await asyncio.sleep(0.01)
        if not task.done():
            ready.set()
        await task

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            box["error"] = error
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(60)
    if "error" in box:
        thread.join()
        listening.close()
        raise box["error"]
    try:
        yield Running(box["services"], listening.getsockname()[1], box["loop"])
    finally:
        box["loop"].call_soon_threadsafe(box["until"].set)
        thread.join(40)
        if "error" in box:
            raise box["error"]


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.05):
        return True
    return False
