"""Run a gateway: one process, or several that share a socket and a ledger."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import uvicorn
import uvloop

from forethought.errors import ConfigError
from forethought.gateway.app import Gateway
from forethought.gateway.config import GatewayConfig
from forethought.gateway.edge import guarded
from forethought.gateway.services import Services

log = logging.getLogger(__name__)

DRAIN = 30
"""Seconds that requests under way have to end after SIGTERM."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_BETWEEN_LOOKS = 0.05
"""Seconds between looks at the workers."""


class _Server(uvicorn.Server):
    """uvicorn, ended by an event instead of by signals of its own."""

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


async def serve(services: Services, listening: socket.socket, until: asyncio.Event) -> None:
    """Serve until an event is set, then let what is under way end.

    Args:
        services: Started here, and closed.
        listening: A bound socket.
        until: Ends the service.

    Raises:
        ConfigError, ArtifactError, FeatureError: As `Services.start`.
    """
    await services.start()
    server = _Server(_settings(services))

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


def run(config: GatewayConfig, listening: socket.socket, *, loopback: bool) -> None:
    """Serve in this process until SIGTERM or SIGINT; SIGHUP looks for a changed router at once."""
    uvloop.run(_until_signalled(Services(config, loopback=loopback), listening))


async def _until_signalled(services: Services, listening: socket.socket) -> None:
    loop, until = asyncio.get_running_loop(), asyncio.Event()
    reloads: set[asyncio.Task[bool]] = set()

    def reload() -> None:
        reloads.add(task := loop.create_task(services.reload()))
        task.add_done_callback(reloads.discard)

    for number in _SIGNALS:
        loop.add_signal_handler(number, until.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await serve(services, listening, until)


def run_workers(arguments: Sequence[str], workers: int, listening: socket.socket) -> int:
    """Serve in several processes that share a socket; one that ends takes the others with it.

    The first is started alone until it serves: what stops it would stop all of them, and is said once.

    Args:
        arguments: Of `forethought serve`, for one worker.
        workers: How many.
        listening: A bound socket; closed here once all have it.

    Returns:
        The first exit code that is not 0, else 0.
    """
    command = [sys.executable, "-m", "forethought", "serve", *arguments, "--socket", str(listening.fileno())]
    group = _Workers(command, listening.fileno())
    for number in _SIGNALS:
        signal.signal(number, lambda number, frame: group.stop())
    group.start()
    while group.all_run and not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        time.sleep(_BETWEEN_LOOKS)
    for _ in range(workers - 1):
        if group.all_run:
            group.start()
    listening.close()  # while they drain, nobody may connect to a socket that none of them serves
    return group.wait()


class _Workers:
    """Processes of one command that begin and end together.

    Args:
        command: Of each.
        descriptor: Of a socket that they inherit.
    """

    def __init__(self, command: Sequence[str], descriptor: int) -> None:
        self._command = command
        self._descriptor = descriptor
        self._children: list[subprocess.Popen[bytes]] = []
        self._stopping = False

    @property
    def all_run(self) -> bool:
        """Whether none has ended and none is to."""
        return not self._stopping and all(child.poll() is None for child in self._children)

    def start(self) -> None:
        """Start one more."""
        # Ignored until it listens for it: what it inherits as ignored does not end it while it starts.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._children.append(subprocess.Popen(self._command, pass_fds=[self._descriptor]))  # noqa: S603
        signal.signal(signal.SIGHUP, lambda number, frame: self._tell(signal.SIGHUP))
        if self._stopping:  # told so before this one was known
            self._tell(signal.SIGTERM)

    def stop(self) -> None:
        """Tell all of them to end, once: a second signal would find one that is nearly gone without its handler."""
        if not self._stopping:
            self._stopping = True
            self._tell(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until all have ended, and stop them when one has; the first code that is not 0, as a shell tells it."""
        while any(child.poll() is None for child in self._children):
            if not self.all_run:
                self.stop()
            time.sleep(_BETWEEN_LOOKS)
        # One that was told to end before it listened for it ended as it should.
        bad = [child.returncode for child in self._children if child.returncode not in (0, -signal.SIGTERM)]
        return next((code if code > 0 else 128 - code for code in bad), 0)

    def _tell(self, number: signal.Signals) -> None:
        for child in self._children:
            child.send_signal(number)


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
