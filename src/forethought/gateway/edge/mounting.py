"""The small endpoints over HTTP, and JSON errors for whatever is not there."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from forethought.gateway.base import Key
from forethought.gateway.edge import endpoints, origin
from forethought.gateway.edge.body import ClientGone, read_body
from forethought.gateway.edge.fields import FIELDS
from forethought.gateway.edge.headers import Headers
from forethought.gateway.edge.metrics import CONTENT_TYPE
from forethought.gateway.edge.openapi import openapi
from forethought.gateway.edge.parsing import parse_request
from forethought.gateway.ledger import LedgerLost
from forethought.gateway.problems import Problem

if TYPE_CHECKING:
    from forethought.gateway.services import Services

log = logging.getLogger(__name__)

PREFIX = "/v1"

CHAT = "/chat/completions"
"""Whose body `POST /v1/route` takes."""


def small_endpoints(services: Services) -> ASGIApp:
    """Everything but the four endpoints that targets answer.

    Args:
        services: What the gateway is made of.
    """
    app = _routed(services)
    templates: dict[Any, str] = {route.endpoint: route.path for route in app.routes if isinstance(route, Route)}

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:  # told by `_defect`; raised on, the server would log its words, which may be secret
            log.error("%s at %s", type(error).__name__, templates.get(scope.get("endpoint"), "no path"))

    return serve


def _routed(services: Services) -> Starlette:
    small = _Small(services)
    get, post = ["GET"], ["POST"]
    app = Starlette(
        routes=[
            Route("/healthz", small.health, methods=get),
            Route("/readyz", small.ready, methods=get),
            Route("/metrics", small.metrics, methods=get),
            Route("/openapi.json", small.openapi, methods=get),
            Route(f"{PREFIX}/models", small.models, methods=get),
            Route(f"{PREFIX}/models/{{name:path}}", small.model, methods=get),
            Route(f"{PREFIX}/decisions/{{id}}", small.decision, methods=get),
            Route(f"{PREFIX}/csrf", small.csrf, methods=get),
            Route(f"{PREFIX}/route", small.route, methods=post),
            Route(f"{PREFIX}/feedback", small.feedback, methods=post),
            Route(f"{PREFIX}/reload", small.reload, methods=post),
        ],
        exception_handlers={
            Problem: _told,
            HTTPException: _not_there,
            LedgerLost: _ledger_lost,
            ClientGone: _nobody,
            Exception: _defect,
        },
    )
    app.router.redirect_slashes = False  # it would send clients, with their keys, wherever the Host header says
    return app


class _Small:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._document = to_json(openapi())

    async def health(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        status, body = endpoints.readiness(self._services.ready())
        return _json(body, status)

    async def metrics(self, request: Request) -> Response:
        origin.require_admin(await self._key(request))
        return Response(self._services.metrics.render(), media_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> Response:
        return Response(self._document, media_type="application/json")

    async def models(self, request: Request) -> Response:
        await self._key(request)
        return _json(endpoints.model_list(self._services.config))

    async def model(self, request: Request) -> Response:
        await self._key(request)
        return _json(endpoints.known_model(self._services.config, request.path_params["name"]))

    async def decision(self, request: Request) -> Response:
        key, id = await self._key(request), request.path_params["id"]
        if not (id.isascii() and id.isprintable() and len(id) <= endpoints.LONGEST_ID):
            raise endpoints.no_decision()
        return _json(endpoints.readable_decision(await self._services.ledger.decision(id), key))

    async def csrf(self, request: Request) -> Response:
        key = await self._key(request)
        origin.require_admin(key)
        origin.require_same_origin(_headers(request))
        secret = self._services.keyring.secret_of(key)
        response = _json({"token": origin.csrf_token(key.id, secret, time.time())})
        response.headers["cache-control"] = "no-store"
        return response

    async def route(self, request: Request) -> Response:
        key = await self._key(request)
        raw = await self._body(request)
        asked = parse_request(CHAT, raw, key, _headers(request))
        return _json(endpoints.route_answer(asked.id, await self._services.planner.plan(asked)))

    async def feedback(self, request: Request) -> Response:
        await self._admin_action(request)
        feedback = endpoints.feedback_of(await self._body(request))
        if not await self._services.ledger.feedback(feedback):
            raise endpoints.no_decision()
        return _json({"decision": feedback.decision, "success": feedback.success, "source": feedback.source})

    async def reload(self, request: Request) -> Response:
        await self._admin_action(request)
        return _json({"reloaded": await self._services.reload()})

    async def _key(self, request: Request) -> Key:
        key = await self._services.keyring.authenticate(_headers(request))
        self._services.limiter.take(key)
        return key

    async def _admin_action(self, request: Request) -> None:
        key = await self._key(request)
        secret = self._services.keyring.secret_of(key)
        origin.require_admin_action(_headers(request), key, secret, time.time())

    async def _body(self, request: Request) -> bytes:
        return await read_body(request.scope, request.receive, self._services.config.limits)


def _headers(request: Request) -> Headers:
    return dict(request.scope["headers"])


def _json(body: Any, status: int = 200) -> Response:
    return Response(to_json(body), status, media_type="application/json")


def _answer(problem: Problem) -> Response:
    return Response(problem.body, problem.status, problem.headers, "application/json")


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(error)


async def _not_there(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.scope["path"].removeprefix(PREFIX) in FIELDS:
        return _answer(endpoints.allowed(["POST"]))
    if error.status_code == 405:
        return _answer(endpoints.allowed((error.headers or {}).get("Allow", "GET").split(", ")))
    return _answer(Problem(404, "there is nothing at this path", code="not_found"))


async def _ledger_lost(request: Request, error: Exception) -> Response:
    return _answer(
        Problem(503, "the ledger cannot be reached", code="ledger_unavailable", headers={"retry-after": "5"})
    )


async def _nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=408)


async def _defect(request: Request, error: Exception) -> Response:
    return _answer(Problem(500, "internal error", code="internal_error"))
