"""Upstreams in this process that answer as a script says, and what executors are tested with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from forethought.core import Decision, Prediction
from forethought.gateway.base import LOCAL, Account, ClientRequest, Delivery, Key, Plan
from forethought.gateway.config import GatewayConfig
from forethought.gateway.execution import Executor
from forethought.gateway.upstreams import Failover, UpstreamFailure, UpstreamRequest


@dataclass
class Says:
    """One answer."""

    text: str = "4"
    finish: str = "stop"
    sure: float | None = None  # probability of each token
    prompt: int = 10
    tokens: int | None = None
    status: int = 200
    error: str = "no"
    cut: int | None = None  # the connection ends after so many words
    pause: float = 0.0  # before each word

    @property
    def words(self) -> list[str]:
        return [word if i == 0 else f" {word}" for i, word in enumerate(self.text.split(" "))] if self.text else []

    @property
    def usage(self) -> dict[str, int]:
        made = len(self.words) if self.tokens is None else self.tokens
        return {"prompt_tokens": self.prompt, "completion_tokens": made, "total_tokens": self.prompt + made}


Script = Callable[[int, dict[str, Any]], Says]


@dataclass
class FakeUpstream:
    """Request number k gets what the script says of it."""

    name: str
    script: Script
    bodies: list[dict[str, Any]] = field(default_factory=list)
    requests: list[UpstreamRequest] = field(default_factory=list)
    given_up: int = 0
    active: int = 0
    most: int = 0

    async def open(self, request: UpstreamRequest) -> FakeReply:
        body = json.loads(request.body)
        self.bodies.append(body)
        self.requests.append(request)
        self.active += 1
        self.most = max(self.most, self.active)
        return FakeReply(self, self.script(len(self.bodies) - 1, body), request, body)

    async def aclose(self) -> None:
        pass


class FakeReply:
    def __init__(self, upstream: FakeUpstream, says: Says, request: UpstreamRequest, body: dict[str, Any]) -> None:
        self.upstream, self.says, self.request, self.body = upstream, says, request, body
        self.open, self.whole = True, False

    @property
    def status(self) -> int:
        return self.says.status

    @property
    def headers(self) -> Mapping[str, str]:
        streamed = self.request.stream and self.status == 200
        return {"content-type": "text/event-stream" if streamed else "application/json"}

    async def chunks(self) -> AsyncIterator[bytes]:
        says, chat = self.says, self.request.path == "/chat/completions"
        if says.status != 200:
            yield json.dumps({"error": {"message": says.error, "code": says.error}}).encode()
        elif self.request.stream:
            async for chunk in self._events(chat):
                yield chunk
        else:
            await asyncio.sleep(says.pause)
            if says.cut is not None:
                raise UpstreamFailure("cut", "ended early")
            yield json.dumps(self._whole(chat)).encode()
        self.whole = True

    async def _events(self, chat: bool) -> AsyncIterator[bytes]:
        says = self.says
        for i, word in enumerate(says.words):
            if i == says.cut:
                raise UpstreamFailure("cut", "ended early")
            await asyncio.sleep(says.pause)
            shown = {"delta": {"content": word}} if chat else {"text": word}
            yield _event({"choices": [{"index": 0, **shown, "finish_reason": None}]})
        shown = {"delta": {}} if chat else {"text": ""}
        yield _event({"choices": [{"index": 0, **shown, "finish_reason": says.finish}]})
        if (self.body.get("stream_options") or {}).get("include_usage"):
            yield _event({"choices": [], "usage": says.usage})
        yield b"data: [DONE]\n\n"

    def _whole(self, chat: bool) -> dict[str, Any]:
        from math import log

        says = self.says
        choice: dict[str, Any] = {"index": 0, "finish_reason": says.finish, "logprobs": None}
        if chat:
            choice["message"] = {"role": "assistant", "content": says.text}
        else:
            choice["text"] = says.text
        if says.sure is not None and self.body.get("logprobs"):
            each = [log(says.sure)] * max(1, len(says.words))
            choice["logprobs"] = (
                {"content": [{"token": "t", "logprob": p} for p in each]} if chat else {"token_logprobs": each}
            )
        kind = "chat.completion" if chat else "text_completion"
        return {"id": "x", "object": kind, "model": self.body["model"], "choices": [choice], "usage": says.usage}

    async def aclose(self) -> None:
        if self.open:
            self.open = False
            self.upstream.active -= 1
            self.upstream.given_up += not self.whole


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


@dataclass
class Bench:
    """An executor over fake upstreams."""

    config: GatewayConfig
    upstreams: dict[str, FakeUpstream]
    executor: Executor
    account: Account = field(default_factory=Account)

    def run(self, request: ClientRequest, plan: Plan) -> tuple[Delivery, bytes]:
        """Deliver to the end."""

        async def work() -> tuple[Delivery, bytes]:
            delivery = await self.executor.deliver(request, plan, self.account)
            if delivery.pieces is None:
                return delivery, delivery.body or b""
            read = b"".join([piece async for piece in delivery.pieces])
            return delivery, read + delivery.last

        return asyncio.run(work())


def entry(name: str, **rest: Any) -> dict[str, Any]:
    policy = {"max_tokens": 16, **rest.pop("policy", {})}
    prices = {"input": 1.0, "output": 2.0}
    return {
        "name": name,
        "model": f"{name}-model",
        "base_url": f"http://{name}/v1",
        "prices": prices,
        "policy": policy,
        **rest,
    }


def bench_of(entries: list[dict[str, Any]], scripts: Mapping[str, Script], **settings: Any) -> Bench:
    config = GatewayConfig.model_validate({"target": entries, "retries": {"base": 0.001}, **settings})
    upstreams = {name: FakeUpstream(name, script) for name, script in scripts.items()}
    failover = Failover(config.timeouts, config.retries, config.breaker)
    return Bench(config, upstreams, Executor(config, upstreams, failover))


def request_of(
    text: str = "What is 2 + 2?",
    *,
    path: str = "/chat/completions",
    model: str = "forethought",
    key: Key = LOCAL,
    **body: Any,
) -> ClientRequest:
    asked: dict[str, Any] = {"/chat/completions": {"messages": [{"role": "user", "content": text}]}}
    asked["/completions"] = {"prompt": text}
    whole = {"model": model, **asked.get(path, {"input": text}), **body}
    return ClientRequest("r1", path, json.dumps(whole).encode(), whole, key)


def plan_of(*names: str, costs: Mapping[str, float] | None = None) -> Plan:
    predictions = tuple(Prediction(name, 0.5, 8.0, (costs or {}).get(name)) for name in names)
    decision = Decision(names[0] if names else None, predictions, "argmax", {}, "a test")
    return Plan(names, decision)


def events(read: bytes) -> list[Any]:
    told = [line.removeprefix("data: ") for line in read.decode().split("\n\n") if line]
    assert told[-1] == "[DONE]"
    return [json.loads(line) for line in told[:-1]]


@pytest.fixture(scope="session")
def kit() -> Any:
    """Everything above, since test files do not import each other."""

    class Kit:
        Says = Says
        FakeUpstream = FakeUpstream
        entry = staticmethod(entry)
        bench = staticmethod(bench_of)
        request = staticmethod(request_of)
        plan = staticmethod(plan_of)
        events = staticmethod(events)

    return Kit
