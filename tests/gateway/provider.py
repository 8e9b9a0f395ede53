"""A fake provider: a real HTTP/1.1 server that speaks OpenAI's API and misbehaves as the model's name says.

    with running() as provider:
        ...  # provider.url, provider.requests, provider.open

A model is `BEHAVIOUR[+MODIFIER...][:ANYTHING]`; what follows the colon only tells models apart.

| behaviour | what it does |
|---|---|
| `ok` | answers |
| `status-CODE[-retry-after[-S]]` | an error, with `Retry-After: S` (1 by default) |
| `context-length`, `content-filter`, `quota` | OpenAI's 400, 400 and 429 of these codes |
| `no-prefill` | 400 where the last message is the assistant's, else answers |
| `reset` | closes the connection before the head |
| `silent` | never says anything |
| `slow-first[-S]` | S seconds (0.3) pass between the head and the first token |
| `cut-K`, `end-K` | K tokens, then the connection breaks; then the body ends as if all were well |
| `stall-K` | K tokens, then silence |
| `malformed-K`, `error-K` | K tokens, then bytes that are no JSON; then an error object |
| `no-done`, `no-finish`, `hang` | the stream has no `[DONE]`; no finish_reason; stays open after `[DONE]` |
| `no-usage` | tells no usage |
| `flaky-P` | P % of requests get 500, 429, `reset` or `silent`, else `ok`; seeded |
| `first-K-B`, `flap-B` | behaviour B for the first K requests for this model, then `ok`; every other time |

Modifiers: `tokens-N` (answer length, 60), `pace-S` (seconds between tokens), `wait-S` (before anything).

`provider.behave[MODEL] = BEHAVIOUR` changes a model while the server runs. As a script it serves until killed and
prints its URL.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

TOKENS = 60
CREATED = 1_700_000_000
ERRORS = {
    "context-length": (400, "This model's maximum context length is 8 tokens.", "context_length_exceeded"),
    "content-filter": (400, "The prompt was filtered by the content policy.", "content_filter"),
    "quota": (429, "You exceeded your current quota.", "insufficient_quota"),
}
MIX = ("status-500", "status-429", "reset", "silent")


@dataclass
class Received:
    """One request as it came, and what became of it.

    `hung_up` is when the client closed the connection before the answer's end; None where it did not.
    """

    path: str
    raw: bytes
    headers: dict[str, str]
    at: float
    body: dict[str, Any] = field(default_factory=dict)
    behaviour: str = ""
    answered: bool = False
    hung_up: float | None = None

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))


class Provider:
    """The server; everything may be read from any thread.

    Attributes:
        requests: In the order in which they came.
        behave: Behaviours that replace those of model names.
        open: Connections that stand now.
        connections: Connections that ever stood.
    """

    def __init__(self, seed: int = 0) -> None:
        self.requests: list[Received] = []
        self.behave: dict[str, str] = {}
        self.open = 0
        self.connections = 0
        self.counts: Counter[str] = Counter()
        self.url = ""
        self.log = True
        self.alive: set[Connection] = set()
        self._random = random.Random(seed)

    def asked(self, model: str) -> list[Received]:
        """The requests for one model."""
        return [received for received in self.requests if received.model == model]

    def behaviour_of(self, model: str) -> str:
        """What the next request for a model gets."""
        self.counts[model] += 1
        return self._resolve(self.behave.get(model, model.split(":")[0]), self.counts[model])

    def _resolve(self, behaviour: str, count: int) -> str:
        kind, _, rest = behaviour.partition("-")
        if kind == "first":
            times, _, inner = rest.partition("-")
            return inner if count <= int(times) else "ok"
        if kind == "flap":
            return rest if count % 2 else "ok"
        if kind == "flaky":
            percent, plus, modifiers = rest.partition("+")
            bad = self._random.random() < int(percent) / 100
            return (self._random.choice(MIX) if bad else "ok") + plus + modifiers
        return behaviour

    async def start(self) -> asyncio.Server:
        """Listen on a free port of loopback in the running loop."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self, loop), "127.0.0.1", 0, backlog=2048)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return server

    def wait_until(self, holds: Callable[[], bool], seconds: float = 1.0) -> bool:
        """Wait in another thread's stead until something holds; whether it does in time."""
        until = time.monotonic() + seconds
        while not holds() and time.monotonic() < until:
            time.sleep(0.002)
        return holds()


@contextlib.contextmanager
def running(seed: int = 0) -> Iterator[Provider]:
    """A provider in a thread of its own."""
    provider = Provider(seed)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(provider.start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(server.close)
        asyncio.run_coroutine_threadsafe(_stop(provider), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _stop(provider: Provider) -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for connection in list(provider.alive):
        connection.transport.abort()
    await asyncio.sleep(0)


class Connection(asyncio.Protocol):
    """One connection: parses requests and answers them in turn."""

    transport: asyncio.Transport

    def __init__(self, provider: Provider, loop: asyncio.AbstractEventLoop) -> None:
        self.provider = provider
        self.loop = loop
        self.buffer = b""
        self.current: Received | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.provider.open += 1
        self.provider.connections += 1
        self.provider.alive.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.provider.open -= 1
        self.provider.alive.discard(self)
        if self.current is not None and not self.current.answered:
            self.current.hung_up = time.monotonic()
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (request := self._parse()) is not None:
            self._answer(request)

    def _parse(self) -> Received | None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        line, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (entry.partition(":") for entry in lines)}
        length = int(headers.get("content-length", 0))
        if len(self.buffer) < end + 4 + length:
            return None
        raw, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
        path = line.split(" ")[1].partition("?")[0].removeprefix("/v1")
        return Received(path, raw, headers, time.monotonic())

    def _answer(self, received: Received) -> None:
        self.current = received
        if received.path == "/models":
            received.answered = True
            self.transport.write(_reply(200, {"object": "list", "data": [{"id": "ok", "object": "model"}]}))
            return
        try:
            received.body = json.loads(received.raw)
            received.behaviour = self.provider.behaviour_of(received.model)
            answer = Answer(received)
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError):
            self.transport.write(_reply(400, _error("The request is not understood.", "invalid_request_error", None)))
            received.answered = True
            return
        if self.provider.log:
            self.provider.requests.append(received)
        if answer.at_once is not None:
            received.answered = True
            self.transport.write(answer.at_once)
        else:
            self.task = self.loop.create_task(self._play(answer))

    async def _play(self, answer: Answer) -> None:
        for step in answer.steps():
            if step is None:  # the connection breaks
                if answer.kind == "reset":
                    linger = struct.pack("ii", 1, 0)  # a RST, not a FIN
                    self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                answer.received.answered = True
                self.transport.close()
                return
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                self.transport.write(step)
        answer.received.answered = True


class Answer:
    """What one request gets: all `at_once`, or in `steps` (bytes, seconds to sleep, None to break)."""

    def __init__(self, received: Received) -> None:
        self.received = received
        self.body = received.body
        behaviour, *modifiers = received.behaviour.split("+")
        self.kind, self.value = _split(behaviour)
        given = dict(_split(modifier) for modifier in modifiers)
        self.length = int(given.get("tokens", TOKENS))
        self.pace = float(given.get("pace", 0))
        self.wait = float(given.get("wait", 0))
        self.stream = self.body.get("stream") is True and received.path != "/embeddings"
        self.at_once = None if self.wait else self._at_once()

    def _at_once(self) -> bytes | None:
        if self.kind in ERRORS:
            status, message, code = ERRORS[self.kind]
            return _reply(status, _error(message, "invalid_request_error", code))
        if self.kind == "status":
            return self._status()
        if self.kind == "no-prefill" and self.body.get("messages", [{}])[-1].get("role") == "assistant":
            return _reply(400, _error("The last message must not be the assistant's.", "invalid_request_error", None))
        if self.kind in ("ok", "no-prefill", "no-usage", "no-done", "no-finish") and not self.pace:
            if self.stream:
                return _STREAM_HEAD + b"".join(map(_chunk, self.events())) + b"0\r\n\r\n"
            return _reply(200, self.whole())
        return None

    def _status(self) -> bytes:
        code, _, rest = self.value.partition("-")
        after = rest.removeprefix("retry-after").removeprefix("-") or "1"
        return _reply(int(code), _error(f"status {code}", "fake_error", None), {"Retry-After": after} if rest else {})

    def steps(self) -> Iterator[bytes | float | None]:
        if self.wait:
            yield self.wait
            at_once = self._at_once()
            if at_once is not None:
                yield at_once
                return
        if self.kind == "reset":
            yield None
        elif self.kind == "silent":
            yield 3600.0
        elif self.stream:
            yield from self._stream_steps()
        else:
            yield from self._whole_steps()

    def _whole_steps(self) -> Iterator[bytes | float | None]:
        if self.kind == "slow-first":
            yield float(self.value or 0.3)
        if self.pace:
            yield self.pace * self.length
        whole = _reply(200, self.whole())
        if self.kind == "malformed":
            yield _head(200, 9) + b'{"choices'
        elif self.kind == "error":
            yield _reply(200, _error("broken", "server_error", None))
        elif self.kind in ("cut", "stall", "end"):
            yield whole[: len(whole) // 2]
            yield 3600.0 if self.kind == "stall" else None
        else:
            yield whole

    def _stream_steps(self) -> Iterator[bytes | float | None]:
        yield _STREAM_HEAD
        if self.kind == "slow-first":
            yield float(self.value or 0.3)
        shown = int(self.value or 0) if self.kind in ("cut", "end", "stall", "malformed", "error") else None
        tokens = 0
        for event in self.events():
            if shown is not None and tokens >= shown and (self._is_token(event) or shown == 0):
                yield from self._break()
                return
            if self._is_token(event):
                tokens += 1
                if self.pace:
                    yield self.pace
            yield _chunk(event)
        if self.kind == "hang":
            yield 3600.0
        yield b"0\r\n\r\n"

    def _is_token(self, event: bytes) -> bool:
        return b'"content": "w' in event or b'"text": "w' in event or b"output_text.delta" in event

    def _break(self) -> Iterator[bytes | float | None]:
        yield 0.05  # so that what was written is read before
        if self.kind == "cut":
            yield None
        elif self.kind == "stall":
            yield 3600.0
        elif self.kind == "malformed":
            yield _chunk(b'data: {"choices": [{"delta": {"conte\n\n') + b"0\r\n\r\n"
        elif self.kind == "error":
            error = {"error": {"message": "The model broke down.", "type": "server_error", "code": None}}
            yield _chunk(_event(error)) + b"0\r\n\r\n"
        else:
            yield b"0\r\n\r\n"

    @property
    def words(self) -> list[str]:
        allowed = self.body.get("max_tokens") or self.body.get("max_completion_tokens") or self.length
        return _words(min(self.length, allowed))

    @property
    def finish(self) -> str:
        if self.calls:
            return "tool_calls"
        return "length" if len(self.words) < self.length else "stop"

    @property
    def calls(self) -> bool:
        return bool(self.body.get("tools")) and self.body.get("tool_choice") != "none"

    @property
    def text(self) -> str:
        form = (self.body.get("response_format") or {}).get("type", "text")
        return "".join(self.words) if form == "text" else '{"answer": 42}'

    @property
    def n(self) -> int:
        return int(self.body.get("n") or 1)

    def usage(self) -> dict[str, Any] | None:
        if self.kind == "no-usage":
            return None
        given = len(json.dumps(self.body.get("messages") or self.body.get("prompt") or self.body.get("input")).split())
        made = self.n * (4 if self.text.startswith("{") else len(self.words))
        if self.received.path == "/responses":
            return {
                "input_tokens": given,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": made,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": given + made,
            }
        if self.received.path == "/embeddings":
            return {"prompt_tokens": given, "total_tokens": given}
        details = {"prompt_tokens_details": {"cached_tokens": given // 2}}
        return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made, **details}

    def whole(self) -> dict[str, Any]:
        if self.received.path == "/embeddings":
            answer = self._embeddings()
        elif self.received.path == "/responses":
            return self._response("completed")
        elif self.received.path == "/completions":
            answer = self._head("text_completion")
            answer["choices"] = [self._text_choice(i) for i in range(self.n)]
        else:
            answer = self._head("chat.completion")
            answer["choices"] = [self._chat_choice(i) for i in range(self.n)]
        return answer if (usage := self.usage()) is None else {**answer, "usage": usage}

    def _head(self, kind: str) -> dict[str, Any]:
        prefix = "cmpl" if kind == "text_completion" else "chatcmpl"
        return {"id": f"{prefix}-1", "object": kind, "created": CREATED, "model": self.received.model}

    def _chat_choice(self, index: int) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.text, "refusal": None}
        if self.calls:
            message |= {"content": None, "tool_calls": [self._call()]}
        logprobs = {"content": [_logprob(word) for word in self.words]} if self.body.get("logprobs") else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": self.finish}

    def _call(self) -> dict[str, Any]:
        tool = self.body["tools"][0]
        name = tool.get("function", tool).get("name", "tool")
        return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": '{"city": "Oslo"}'}}

    def _text_choice(self, index: int) -> dict[str, Any]:
        logprobs = _text_logprobs(self.words) if self.body.get("logprobs") is not None else None
        return {"index": index, "text": self.text, "logprobs": logprobs, "finish_reason": self.finish}

    def _embeddings(self) -> dict[str, Any]:
        given = self.body.get("input")
        vectors = [[0.25, -0.5, float(i)] for i in range(len(given) if isinstance(given, list) else 1)]
        packed = self.body.get("encoding_format") == "base64"
        shown = [base64.b64encode(struct.pack("<3f", *vector)).decode() if packed else vector for vector in vectors]
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(shown)]
        return {"object": "list", "model": self.received.model, "data": data}

    def _response(self, status: str) -> dict[str, Any]:
        part = {"type": "output_text", "text": self.text, "annotations": []}
        message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": CREATED,
            "model": self.received.model,
            "status": status,
            "error": None,
            "output": [message] if status == "completed" else [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": self.usage() if status == "completed" else None,
        }

    def events(self) -> list[bytes]:
        if self.received.path == "/responses":
            return self._response_events()
        wanted = bool((self.body.get("stream_options") or {}).get("include_usage"))
        events = [self._event(i, *step, wanted) for i in range(self.n) for step in self._deltas()]
        if wanted and (usage := self.usage()) is not None:
            events.append(_event({**self._chunk_head(), "choices": [], "usage": usage}))
        return events if self.kind == "no-done" else [*events, b"data: [DONE]\n\n"]

    def _chunk_head(self) -> dict[str, Any]:
        return self._head("text_completion" if self.received.path == "/completions" else "chat.completion.chunk")

    def _deltas(self) -> Iterator[tuple[dict[str, Any], str | None]]:
        chat = self.received.path != "/completions"
        if chat:
            yield {"role": "assistant", "content": None if self.calls else ""}, None
        if self.calls and chat:
            call = self._call()
            name = {**call, "index": 0, "function": {"name": call["function"]["name"], "arguments": ""}}
            yield {"tool_calls": [name]}, None
            for piece in ('{"city": ', '"Oslo"}'):
                yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, None
        else:
            yield from (({"content": word}, None) for word in (self.words if self.text[0] == "w" else [self.text]))
        if self.kind != "no-finish":
            yield {}, self.finish

    def _event(self, index: int, delta: dict[str, Any], finish: str | None, wanted: bool) -> bytes:
        choice: dict[str, Any] = {"index": index, "finish_reason": finish, "logprobs": None}
        word = delta.get("content")
        if self.received.path == "/completions":
            choice["text"] = word or ""
            if word and self.body.get("logprobs") is not None:
                choice["logprobs"] = _text_logprobs([word])
        else:
            choice["delta"] = delta
            if word and self.body.get("logprobs"):
                choice["logprobs"] = {"content": [_logprob(word)]}
        return _event({**self._chunk_head(), "choices": [choice], **({"usage": None} if wanted else {})})

    def _response_events(self) -> list[bytes]:
        begun, done = self._response("in_progress"), self._response("completed")
        where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        events = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", **where, "part": part},
            *({"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in self.words),
            {"type": "response.output_text.done", **where, "text": self.text, "logprobs": []},
            {"type": "response.content_part.done", **where, "part": done["output"][0]["content"][0]},
            {"type": "response.output_item.done", "output_index": 0, "item": done["output"][0]},
            {"type": "response.completed", "response": done},
        ]
        if self.kind == "no-done":
            events.pop()
        named = [{**event, "sequence_number": i} for i, event in enumerate(events)]
        return [f"event: {event['type']}\n".encode() + _event(event) for event in named]


def _split(behaviour: str) -> tuple[str, str]:
    """A behaviour's name and what follows it."""
    for name in ("slow-first", "no-prefill", "no-usage", "no-done", "no-finish", *ERRORS):
        if behaviour.startswith(name):
            return name, behaviour[len(name) + 1 :]
    name, _, value = behaviour.partition("-")
    return name, value


@lru_cache(maxsize=64)
def _words(n: int) -> list[str]:
    return [f"w{i} " for i in range(n)]


def _logprob(word: str) -> dict[str, Any]:
    return {"token": word, "logprob": -0.25, "bytes": list(word.encode()), "top_logprobs": []}


def _text_logprobs(words: list[str]) -> dict[str, Any]:
    offsets = [sum(map(len, words[:i])) for i in range(len(words))]
    probabilities = [-0.25] * len(words)
    return {"tokens": words, "token_logprobs": probabilities, "top_logprobs": None, "text_offset": offsets}


def _error(message: str, kind: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def _head(status: int, length: int, headers: dict[str, str] | None = None) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def _reply(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> bytes:
    data = json.dumps(body).encode()
    return _head(status, len(data), headers) + data


async def _serve() -> None:
    provider = Provider()
    provider.log = False
    server = await provider.start()
    print(provider.url, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(_serve()))
