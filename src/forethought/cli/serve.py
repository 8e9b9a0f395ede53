"""`forethought serve`: the OpenAI-compatible gateway."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from forethought.cli.keys import keys_command

if TYPE_CHECKING:
    import socket as sockets

    from forethought.gateway import GatewayConfig

DEMO_ROUTER = Path("runs/demo/router")


def serve(
    file: Path | None = None,
    *,
    router: Path | None = None,
    ledger: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    socket: Annotated[int | None, Parameter(show=False)] = None,
    reports: Annotated[bool, Parameter(show=False, negative=())] = False,
) -> None:
    """Serve OpenAI's API: model `forethought` is routed, any other configured model passes through.

    Without a file it serves the demo's router and the embedded models to this machine.

    Example: `forethought serve gateway.toml --port 8080`

    Args:
        file: Gateway file (TOML): targets, prices, router, ledger, timeouts, limits; a pool file will do.
        router: A fitted router, instead of the file's.
        ledger: SQLAlchemy URL of the ledger, `sqlite:///PATH` or `postgresql+psycopg://...`, instead of the file's.
        host: Address to listen on; beyond loopback an admin key must exist.
        port: Port to listen on; 0 takes a free one.
        workers: Processes that share the port and the ledger.
        socket: Descriptor of a socket that is already bound, for one of several workers.
        reports: Whether this worker is the one that says what the gateway is made of.
    """
    from forethought.errors import ConfigError

    config = _config(file, router, ledger)
    if workers < 1:
        raise ConfigError(f"--workers must be >= 1, got {workers}")
    try:
        from forethought.gateway.serve import bind, is_loopback, run, run_worker
        from forethought.gateway.startup import NoAdminKey
        from forethought.gateway.workers import run_workers
    except ImportError as error:
        raise ConfigError(f"the gateway needs more packages ({error.name}): pip install 'forethought[serve]'") from None
    _log_to_stderr()
    try:
        with bind(host, port) if socket is None else _inherited(socket) as listening:
            if workers > 1:
                sys.exit(run_workers(_arguments(file, router, ledger, host), workers, listening, say=_say))
            elif socket is None:
                run(config, listening, loopback=is_loopback(host), say=_say)
            else:
                run_worker(config, listening, loopback=is_loopback(host), say=_say if reports else None)
    except NoAdminKey as error:
        make = keys_command("create", "ops", "--scope", "admin", file=file, ledger=ledger)
        raise ConfigError(f"{error}: make it with `{make}`") from None


def _config(file: Path | None, router: Path | None, ledger: str | None) -> GatewayConfig:
    from forethought.data import default_pool
    from forethought.errors import ConfigError
    from forethought.gateway.config import read_config

    given: dict[str, Any] = {"router": router, "ledger": ledger}
    if file is None and router is None:
        given["router"] = DEMO_ROUTER
        if not DEMO_ROUTER.is_dir():
            raise ConfigError(
                f"no router at {DEMO_ROUTER}: `forethought demo` makes one; or name one by --router, or a gateway file"
            )
    return read_config(file or default_pool(), **{name: value for name, value in given.items() if value is not None})


def _arguments(file: Path | None, router: Path | None, ledger: str | None, host: str) -> list[str]:
    named = {"--router": router, "--ledger": ledger, "--host": host}
    options = [part for name, value in named.items() if value is not None for part in (name, str(value))]
    return [*([] if file is None else [str(file)]), *options]


def _inherited(descriptor: int) -> sockets.socket:
    import socket

    return socket.socket(fileno=descriptor)


def _say(line: str) -> None:
    """Write a line to stderr, whole; a gateway does not end because nobody reads what it says."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what it says of a request, the gateway says itself
