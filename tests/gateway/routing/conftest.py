"""A small fitted router on disk, the configuration around it, and requests of every shape."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forethought.core import Prices
from forethought.gateway.base import ClientRequest, Key
from forethought.gateway.config import GatewayConfig
from forethought.gateway.routing import Planner, RouterHost
from forethought.router import Router

ALL = ["tools", "json", "images", "logprobs", "n"]


@pytest.fixture(scope="session")
def artifact(fitted, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("routing") / "router"
    fitted.router.save(path)
    return path


@pytest.fixture(scope="session")
def other_router(fitted) -> Router:
    """The same features under a head that says the opposite of the fitted one."""
    from dataclasses import replace

    from forethought.probes import LinearScorer
    from forethought.probes.linear_scorer import Part

    scorer = fitted.router.heads.scorer
    parts = [Part(part.centre, -part.weights) for part in scorer.parts]
    heads = replace(fitted.router.heads, scorer=LinearScorer(parts, -scorer.bias))
    manifest = {**fitted.router.manifest, "turned": True}
    return Router(heads, fitted.router.policy, fitted.router.prices, manifest=manifest)


@pytest.fixture
def encoder(make_encoder) -> Any:
    """An encoder that counts its prefills, and waits for `open` before each."""

    class Counting(make_encoder):
        def __init__(self) -> None:
            super().__init__()
            self.texts: list[str] = []
            self.open = threading.Event()
            self.open.set()
            self.broken: Exception | None = None

        def encode(self, questions, *, layers, readouts):
            self.open.wait(10)
            if self.broken is not None:
                raise self.broken
            self.texts += [question.text for question in questions]
            return super().encode(questions, layers=layers, readouts=readouts)

    return Counting()


@pytest.fixture
def gateway_config(prices: dict[str, Prices]) -> Callable[..., GatewayConfig]:
    """A configuration of the five targets behind endpoints; `entries` change some, None drops one."""

    def made(entries: dict[str, dict[str, Any] | None] | None = None, **rest: Any) -> GatewayConfig:
        targets = []
        for name, price in prices.items():
            changed = (entries or {}).get(name, {})
            if changed is None:
                continue
            asked = {"input": price.input, "output": price.output}
            plain = {"name": name, "model": name, "base_url": "http://127.0.0.1:9/v1", "prices": asked, "features": ALL}
            targets.append({**plain, **changed})
        return GatewayConfig.model_validate({"target": targets, **rest})

    return made


@pytest.fixture
def ask() -> Callable[..., ClientRequest]:
    """A request: text of the last user turn, and what else its body holds."""
    from pydantic_core import to_json

    def asked(
        text: Any = "which river is it",
        *,
        model: str = "forethought",
        path: str = "/chat/completions",
        earlier: tuple[tuple[str, Any], ...] = (),
        conversation: str | None = None,
        key: str = "k",
        **body: Any,
    ) -> ClientRequest:
        turns = [*earlier, ("user", text)]
        body = {"model": model, "messages": [{"role": role, "content": said} for role, said in turns], **body}
        if path == "/completions":
            del body["messages"]
            body.setdefault("prompt", text)
        return ClientRequest("id", path, to_json(body), body, Key(key), conversation=conversation)

    return asked


@pytest.fixture
def planned(artifact, encoder, gateway_config) -> Callable[..., Any]:
    """Run something with a planner over a started host."""

    def run(work: Callable[..., Any], config: GatewayConfig | None = None, **rest: Any) -> Any:
        config = config or gateway_config()

        async def running() -> Any:
            host = RouterHost(artifact, config.prices, 0.1, encoder=encoder)
            await host.start()
            encoder.texts.clear()
            try:
                return await work(Planner(config, host, **rest), host)
            finally:
                encoder.open.set()
                host.close()

        return asyncio.run(running())

    return run


@pytest.fixture
def plan_of(planned) -> Callable[..., Any]:
    """The plan of one request."""

    def plan(request: ClientRequest, config: GatewayConfig | None = None, **rest: Any) -> Any:
        excluded = rest.pop("excluded", frozenset())
        return planned(lambda planner, host: planner.plan(request, excluded=excluded), config, **rest)

    return plan
