"""What a gateway is made of, started in order and closed in the other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from forethought.gateway.base import ClientRequest
from forethought.gateway.config import GatewayConfig
from forethought.gateway.edge import Keyring, Metrics, RateLimiter
from forethought.gateway.execution import Executor, upstreams_of
from forethought.gateway.ledger import Closing, Ledger, LedgerLost
from forethought.gateway.routing import Planner, RouterHost, routed_text
from forethought.gateway.startup import NoAdminKey, require_known_targets
from forethought.gateway.upstreams import Failover, Upstream

if TYPE_CHECKING:
    from forethought.activations import Encoder

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 2.0
"""How often the router's artifact is looked at for a change."""

SECONDS_BETWEEN_SWEEPS = 3600.0
"""How often what is past its retention is deleted."""

SECONDS_BETWEEN_TRIES = 1.0
"""How often the ledger is asked again to take accounts that it could not."""

SECONDS_TO_END = 5.0
"""How long requests that were told to end may take to write their accounts."""

MOST_UNSETTLED = 10_000
"""Accounts that wait for the ledger; the oldest is given up for one more."""


@dataclass(slots=True)
class Services:
    """Everything that a request passes, made from one configuration.

    Args:
        config: The gateway's file.
        loopback: Whether only this machine can reach the gateway, so that it may serve without keys.
        encoder: Reads prompts instead of the encoder that the router's manifest names.
    """

    config: GatewayConfig
    loopback: bool = True
    encoder: Encoder | None = None
    ledger: Ledger = field(init=False)
    metrics: Metrics = field(init=False)
    keyring: Keyring = field(init=False)
    limiter: RateLimiter = field(init=False)
    host: RouterHost | None = field(init=False)
    planner: Planner = field(init=False)
    upstreams: dict[str, Upstream] = field(init=False)
    executor: Executor = field(init=False)
    dear: frozenset[str] = field(init=False)
    draining: bool = False
    serving: set[asyncio.Task[Any]] = field(init=False, default_factory=set)
    _settling: set[asyncio.Future[None]] = field(init=False, default_factory=set)
    _unsettled: deque[Closing] = field(init=False, default_factory=lambda: deque(maxlen=MOST_UNSETTLED))
    _background: list[asyncio.Task[None]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        config = self.config
        self.ledger = Ledger(config.ledger)
        self.metrics = Metrics()
        self.keyring = Keyring(self.ledger.key, self.ledger.any_key, loopback=self.loopback)
        self.limiter = RateLimiter()
        self.host = None
        if config.router is not None:
            self.host = RouterHost(config.router, config.prices, config.encoder.price, encoder=self.encoder)
        self.planner = Planner(
            config, self.host, kept_target=self.ledger.kept_target, on_fallback=self.metrics.fell_back
        )
        self.upstreams = upstreams_of(config)
        failover = Failover(config.timeouts, config.retries, config.breaker)
        self.executor = Executor(config, self.upstreams, failover)
        self.metrics.watch(failover.states, self._artifact)
        self.dear = frozenset(entry.name for entry in config.target if entry.dear)

    async def start(self) -> None:
        """Open the ledger, load the router, and begin the background work.

        Raises:
            ConfigError: Reachable from elsewhere without an admin key (`NoAdminKey`), a router that knows no target, or
                a setting that cannot be followed.
            ArtifactError: The ledger or the router cannot be read.
            FeatureError: The installed encoder is not the router's.
        """
        await self.ledger.start()
        try:
            await self._check_exposure()
            if self.host is not None:
                await self.host.start()
                require_known_targets(self.config, self.host.current)
        except BaseException:
            await self.close()
            raise
        self._background += [asyncio.create_task(self._sweep()), asyncio.create_task(self._catch_up())]
        if self.host is not None:
            self._background.append(asyncio.create_task(self._watch(self.host)))

    async def close(self) -> None:
        """End the background work, close every connection, and write what is waiting.

        Requests that are still being served by then have been told to end: their accounts are waited for.
        """
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self.serving:
            await asyncio.wait(self.serving, timeout=SECONDS_TO_END)
        for upstream in self.upstreams.values():
            await upstream.aclose()
        if self.host is not None:
            self.host.close()
        await asyncio.gather(*self._settling, return_exceptions=True)
        await self._settle_late()
        await self.ledger.close()

    def ready(self) -> dict[str, bool]:
        """What must be well for requests to be served, by name."""
        return {"ledger": self.ledger.ready(), "serving": not self.draining}

    def text_of(self, request: ClientRequest) -> str | None:
        """The routed part of a prompt, where its owner opted in to its being kept."""
        return routed_text(request) if self.config.retention.text else None

    def settle(self, closing: Closing) -> asyncio.Future[None]:
        """Write how a request ended, whoever still waits for it.

        Returns:
            Done once it is on disk. An account that could not be written raises LedgerLost, and is kept until the
            ledger takes it.
        """
        writing = self.ledger.settle(closing)
        self._settling.add(writing)
        writing.add_done_callback(partial(self._settled, closing))
        return writing

    def _settled(self, closing: Closing, writing: asyncio.Future[None]) -> None:
        self._settling.discard(writing)
        if writing.cancelled() or writing.exception() is not None:
            self.metrics.ledger_lost()
            self._unsettled.append(closing)

    async def reload(self) -> bool:
        """Take up a changed router artifact; whether there was one."""
        if self.host is None:
            return False
        changed = await self.host.reload_if_changed()
        if changed:
            self.metrics.reloaded()
            log.info("router %s is being served", self.host.current.artifact)
        return changed

    def _artifact(self) -> str | None:
        return None if self.host is None else self.host.current.artifact

    async def _check_exposure(self) -> None:
        if self.loopback:
            return
        keys = await self.ledger.keys()
        if not any(key["scope"] == "admin" and key["revoked_at"] is None for key in keys):
            raise NoAdminKey

    async def _watch(self, host: RouterHost) -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            await self.reload()

    async def _catch_up(self) -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_TRIES)
            await self._settle_late()

    async def _settle_late(self) -> None:
        for _ in range(len(self._unsettled)):
            closing = self._unsettled.popleft()
            try:
                await self.ledger.settle(closing)
            except LedgerLost:
                self._unsettled.append(closing)
                if not self.ledger.ready():
                    return

    async def _sweep(self) -> None:
        while True:
            try:
                await self.ledger.forget_before(time.time() - self.config.retention.days * 86400)
            except LedgerLost:
                log.warning("what is past its retention could not be deleted; the next sweep tries again")
            await asyncio.sleep(SECONDS_BETWEEN_SWEEPS)
