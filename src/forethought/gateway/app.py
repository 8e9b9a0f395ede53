"""The gateway as an ASGI application: four endpoints that carry the traffic, and Starlette for the rest."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from forethought.gateway.edge import ClientGone, HangUp, hang_up_of, parse_request, read_body, small_endpoints
from forethought.gateway.exchange import CutShort, Exchange, Send, send_problem
from forethought.gateway.problems import Problem
from forethought.gateway.services import Services

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

PREFIX = "/v1"
PATHS = ("/chat/completions", "/completions", "/responses", "/embeddings")
"""What is answered by a target; below `/v1`."""


class Gateway:
    """The application.

    The four endpoints are served before Starlette is asked: they carry the traffic, and need neither its routing
    nor its request objects.

    Args:
        services: What the gateway is made of; whoever runs the application starts and closes them.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        self._paths = {f"{PREFIX}{path}": path for path in PATHS}
        self._rest = small_endpoints(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, an ASGI application."""
        path = self._paths.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if path is None:
            await self._rest(scope, receive, send)
            return
        services = self.services
        task = asyncio.current_task()
        assert task is not None
        services.serving.add(task)
        services.metrics.active.inc()
        try:
            await self._answer(path, task, scope, receive, send)
        except ClientGone:
            return
        finally:
            services.metrics.active.dec()
            services.serving.discard(task)

    async def _answer(self, path: str, task: asyncio.Task[Any], scope: Scope, receive: Receive, send: Send) -> None:
        services = self.services
        try:
            headers = dict(scope["headers"])
            key = await services.keyring.authenticate(headers)
            services.limiter.take(key)
            raw = await read_body(scope, receive, services.config.limits)
            request = parse_request(path, raw, key, headers)
        except ClientGone:
            raise
        except Exception as error:
            await self._turn_away(path, error, send)
            return
        await _while_connected(Exchange(services, request), hang_up_of(scope), task, send)

    async def _turn_away(self, path: str, error: Exception, send: Send) -> None:
        """Tell what is wrong with a request.

        Apart from where the error is caught: kept there under a name of its own, it and the frames of its traceback
        would keep each other, and the request's body, until the next full collection.
        """
        problem = error if isinstance(error, Problem) else _internal()
        if problem is not error:
            log.error("a request to %s: %s", path, where(error))
        self.services.metrics.turned_away(path, problem.status)
        await send_problem(problem, send)


async def _while_connected(exchange: Exchange, hang_up: HangUp, task: asyncio.Task[Any], send: Send) -> None:
    """Serve until the client hangs up, which cancels what is done for it."""
    gone = False

    def end() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    hang_up.watch(end)
    try:
        await exchange.run(send)
    except CutShort:
        return  # without the end of the body, so that the server closes the connection
    except asyncio.CancelledError:
        if not gone:
            raise
    except Exception as error:
        log.error("request %s: %s", exchange.request.id, where(error))
        if not exchange.told:
            await send_problem(_internal(), send)
    finally:
        hang_up.forget()


def where(error: BaseException) -> str:
    """An error's class and place: its message may quote a prompt."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__


def _internal() -> Problem:
    return Problem(500, "internal error", code="internal_error")
