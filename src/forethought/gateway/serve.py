"""Run a gateway in this process."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
import uvloop

from forethought.errors import ConfigError
from forethought.gateway.app import Gateway
from forethought.gateway.config import GatewayConfig
from forethought.gateway.edge import guarded
from forethought.gateway.services import Services
from forethought.gateway.startup import report

Say = Callable[[str], None]
"""Is told a line for whoever started the gateway."""

log = logging.getLogger(__name__)

DRAIN = 30
"""Seconds that requests under way have to end after SIGTERM."""

STOPPING = f"stopping: requests under way have {DRAIN} s to end"
STOPPED = "stopped"
"""What is said at the end."""

END_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""Let requests under way end, then end."""


class _Server(uvicorn.Server):
    """uvicorn, ended by an event instead of by signals of its own.

    Args:
        config: Of uvicorn.
        ready: Called once connections are taken.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """A socket to listen on.

    Raises:
        ConfigError: The address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # By name, since asyncio sends small writes at once only on sockets that say that they are TCP's.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error}") from None
    bound.set_inheritable(True)
    return bound


async def serve(services: Services, listening: socket.socket, until: asyncio.Event, *, say: Say | None = None) -> None:
    """Serve until an event is set, then let what is under way end.

    Args:
        services: Started here, and closed.
        listening: A bound socket.
        until: Ends the service.
        say: Told what the gateway is made of, once it answers.

    Raises:
        ConfigError, ArtifactError, FeatureError: As `Services.start`.
    """
    await services.start()

    async def ready() -> None:
        if say is not None:
            for line in await report(services, listening.getsockname()):
                say(line)

    server = _Server(_settings(services), ready)

    async def stop() -> None:
        await until.wait()
        services.draining = True
        server.should_exit = True

    waiting = asyncio.create_task(stop())
    try:
        await server.serve(sockets=[listening])
    finally:
        waiting.cancel()
        await services.close()


def run(config: GatewayConfig, listening: socket.socket, *, loopback: bool, say: Say) -> None:
    """Serve in this process until SIGTERM or SIGINT; SIGHUP looks for a changed router at once.

    Args:
        config: The gateway's file.
        listening: A bound socket.
        loopback: Whether only this machine can reach it.
        say: Told what the gateway is made of once it answers, and that it ends.

    Raises:
        ConfigError, ArtifactError, FeatureError: As `Services.start`.
    """
    uvloop.run(_until_signalled(Services(config, loopback=loopback), listening, started=say, ended=say))


def run_worker(config: GatewayConfig, listening: socket.socket, *, loopback: bool, say: Say | None) -> None:
    """Like `run`, for one of several processes: the end is told by the one that started them.

    Args:
        config: The gateway's file.
        listening: A bound socket.
        loopback: Whether only this machine can reach it.
        say: Told what the gateway is made of once it answers; None where another worker tells it.

    Raises:
        ConfigError, ArtifactError, FeatureError: As `Services.start`.
    """
    services = Services(config, loopback=loopback)
    uvloop.run(_until_signalled(services, listening, started=say, ended=lambda line: None))


async def _until_signalled(services: Services, listening: socket.socket, *, started: Say | None, ended: Say) -> None:
    loop, until = asyncio.get_running_loop(), asyncio.Event()
    reloads: set[asyncio.Task[bool]] = set()

    def stop() -> None:
        if not until.is_set():
            until.set()
            ended(STOPPING)

    def reload() -> None:
        reloads.add(task := loop.create_task(services.reload()))
        task.add_done_callback(reloads.discard)

    for number in END_SIGNALS:
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await serve(services, listening, until, say=started)
    ended(STOPPED)


def _settings(services: Services) -> uvicorn.Config:
    return uvicorn.Config(
        Gateway(services),
        http=guarded(services.config.limits),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN,
    )
