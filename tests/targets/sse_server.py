"""A real HTTP server that streams scripted chat completions and notices who hangs up."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Script:
    """What one request gets."""

    text: str = "a b c"
    pause: float = 0.0  # before each token, seconds
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    usage: dict[str, Any] | None = field(default_factory=lambda: {"prompt_tokens": 11})
    finish: str | None = "stop"
    cut: int | None = None  # hang up after so many tokens
    events: list[str] | None = None  # raw events instead of the text
    plain: bool = False  # one JSON reply, whatever was asked

    @property
    def tokens(self) -> list[str]:
        return [word if i == 0 else f" {word}" for i, word in enumerate(self.text.split(" "))] if self.text else []

    @property
    def counted(self) -> dict[str, Any] | None:
        return None if self.usage is None else {"completion_tokens": len(self.tokens) + 1, **self.usage}

    def stream(self) -> Iterator[str]:
        if self.events is not None:
            yield from self.events
            return
        yield json.dumps({"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
        for token in self.tokens[: self.cut]:
            time.sleep(self.pause)
            yield json.dumps({"choices": [{"delta": {"content": token}, "finish_reason": None}]})
        if self.cut is not None:
            return
        yield json.dumps({"choices": [{"delta": {}, "finish_reason": self.finish}]})
        if self.usage is not None:
            yield json.dumps({"choices": [], "usage": self.counted})
        yield "[DONE]"


class SseServer(ThreadingHTTPServer):
    """Request number k, by order of connecting, gets script k, the last one again and again."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scripts = [Script()]
        self.numbers: dict[Any, int] = {}
        self.bodies: list[dict[str, Any]] = []
        self.gone: dict[int, int] = {}
        self.sent: dict[int, int] = {}
        self.active = self.most = 0
        self.lock = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.numbers[client_address] = len(self.numbers)
        super().process_request(request, client_address)

    def wait_gone(self, count: int) -> bool:
        """Whether so many clients hung up, waiting for it."""
        with self.lock:
            return self.lock.wait_for(lambda: len(self.gone) >= count, timeout=5)


class Handler(BaseHTTPRequestHandler):
    server: SseServer

    def do_POST(self) -> None:
        server, number = self.server, self.server.numbers[self.client_address]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append(body)
            server.active += 1
            server.most = max(server.most, server.active)
            server.sent[number] = 0
        script = server.scripts[min(number, len(server.scripts) - 1)]
        try:
            self.reply(script, number)
        except OSError:
            with server.lock:
                server.gone[number] = server.sent[number]
                server.lock.notify_all()
        with server.lock:
            server.active -= 1

    def reply(self, script: Script, number: int) -> None:
        kind = "application/json" if script.plain else "text/event-stream"
        self.send_response(script.status)
        for name, value in {"Content-Type": kind, **script.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if script.status != 200:
            return
        if script.plain:
            choice = {"message": {"content": script.text}, "finish_reason": script.finish}
            self.wfile.write(json.dumps({"choices": [choice], "usage": script.counted}).encode())
            return
        for event in script.stream():
            self.wfile.write(f"data: {event}\n\n".encode())
            with self.server.lock:
                self.server.sent[number] += '"content": "' in event and '"role"' not in event

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def running() -> Iterator[SseServer]:
    with SseServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
