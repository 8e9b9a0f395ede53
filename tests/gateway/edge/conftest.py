from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import uvicorn

from forethought.gateway.config import Limits
from forethought.gateway.edge.protocol import guarded

Serving = Callable[..., AbstractAsyncContextManager[int]]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def _serve(app: Any, limits: Limits | None = None, **settings: Any) -> AsyncIterator[int]:
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = uvicorn.Config(
        app,
        http=guarded(limits or Limits()),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=1,
        **settings,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listening.close()


@pytest.fixture
def serving() -> Serving:
    """A server in the test's own loop: `async with serving(app, limits) as port`."""
    return _serve


@pytest.fixture
def converse() -> Callable[..., Any]:
    """Sends bytes on a connection of its own and returns all that comes back until the server hangs up."""

    async def send(port: int, *pieces: bytes, pause: float = 0.0, wait: float = 3.0) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for piece in pieces:
                writer.write(piece)
                if pause:
                    await asyncio.sleep(pause)
            return await asyncio.wait_for(reader.read(), wait)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    return send
