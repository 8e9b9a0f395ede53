"""A whole gateway in front of a fake provider, with the planted router."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from provider import Provider
from provider import running as provider_running
from running import Running, running

from forethought.gateway.config import GatewayConfig

FEATURES = ["tools", "json", "images", "logprobs", "n"]
PRICES = {
    "north": {"input": 1.0, "output": 2.0, "cached_input": 0.1},
    "south": {"input": 1.0, "output": 2.0},
    "middling": {"input": 0.2, "output": 0.4},
    "dear": {"input": 10.0, "output": 20.0},
    "hopeless": {"input": 0.1, "output": 0.1},
}
"""Of the planted router's targets."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A fake provider of one test's own."""
    with provider_running() as started:
        yield started


@pytest.fixture
def other_provider() -> Iterator[Provider]:
    """A second one, another origin."""
    with provider_running(seed=1) as started:
        yield started


@pytest.fixture(scope="session")
def router_folder(fitted, tmp_path_factory) -> Path:
    """The planted router, saved."""
    folder = tmp_path_factory.mktemp("gateway") / "router"
    fitted.router.save(folder)
    return folder


@pytest.fixture
def target() -> Callable[..., dict[str, Any]]:
    """An entry of a gateway file; a target of the planted router costs what it was fitted at."""

    def make(name: str, provider: Provider, model: str = "ok", **rest: Any) -> dict[str, Any]:
        prices = PRICES.get(name, {"input": 1.0, "output": 2.0})
        entry = {"name": name, "model": model, "base_url": provider.url, "prices": prices, "features": FEATURES}
        return {**entry, **rest}

    return make


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    """Where the ledger of a test's gateway is kept."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def gateway(ledger_file: Path, make_encoder: Any) -> Iterator[Callable[..., Running]]:
    """Starts gateways of these settings; they end with the test."""
    with ExitStack() as stack:

        def start(loopback: bool = True, **settings: Any) -> Running:
            config = GatewayConfig.model_validate({"ledger": f"sqlite:///{ledger_file}", **settings})
            return stack.enter_context(running(config, loopback=loopback, encoder=make_encoder()))

        yield start


@pytest.fixture
def routed(gateway, provider, router_folder, target) -> Callable[..., Running]:
    """Starts gateways with the planted router before all of its targets."""

    def start(models: dict[str, str] | None = None, entries: dict[str, dict[str, Any]] | None = None, **settings: Any):
        given, more = models or {}, entries or {}
        targets = [target(name, provider, given.get(name, "ok"), **more.get(name, {})) for name in PRICES]
        return gateway(target=targets, router=router_folder, **settings)

    return start
