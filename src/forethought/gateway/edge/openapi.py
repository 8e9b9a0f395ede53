"""The gateway's OpenAPI 3.1 document; requests are described by the same tables that check them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from forethought.gateway.edge.answers import (
    CSRF,
    DECISION,
    ERROR,
    EVENT,
    FEEDBACK,
    FEEDBACK_GIVEN,
    HEADERS,
    HEALTH,
    MODEL,
    MODELS,
    READINESS,
    RELOADED,
    ROUTED_PLAN,
)
from forethought.gateway.edge.fields import FIELDS
from forethought.gateway.edge.refusals import REFUSED, REFUSED_FAMILIES

_JSON = "application/json"

STATUSES: Mapping[int, str] = {
    200: "Well.",
    400: "Not HTTP, not JSON, or a field that is missing, wrong or refused.",
    401: "No valid key.",
    403: "The key may not do this, or the request came from another site.",
    404: "No such thing.",
    405: "The path does not take this method.",
    408: "The request did not come whole in time.",
    413: "The body is too long.",
    415: "The body is not plain JSON.",
    422: "Abstained: no target is likely enough to be right.",
    429: "Beyond the key's rate, budget or quota, or the upstream's.",
    431: "The head is too large.",
    500: "A defect of the gateway's.",
    502: "The upstream's answer cannot be used.",
    503: "No upstream, no ledger, or too many connections.",
    504: "The upstream was silent for too long.",
}
"""What each status means."""

_ANY = (400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 503)
_OPEN = (400, 404, 405, 408, 431, 500, 503)


def openapi() -> dict[str, Any]:
    """The document, as JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "forethought",
            "version": "1",
            "description": "OpenAI's API in front of a router. An upstream's own 4xx is handed on as it is.",
        },
        "security": [{"key": []}],
        "paths": {**_answered_paths(), **_own_paths(), **_open_paths()},
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": ERROR},
        },
    }


def request_schema(path: str) -> dict[str, Any]:
    """JSON Schema of the bodies that `parse_request` accepts; what it cannot say is that no field stands there twice.

    Args:
        path: One of those in `FIELDS`.
    """
    fields = FIELDS[path]
    return {
        "type": "object",
        "required": [name for name, field in fields.items() if field.required],
        "properties": {name: field.full_schema for name, field in fields.items()},
        "propertyNames": {"not": {"pattern": _refused_names(fields)}},
    }


def _refused_names(fields: Iterable[str]) -> str:
    """Pattern of the names that are refused: those that steer, and other spellings of those that are read."""
    refused = [_any_case(name) for name in sorted(REFUSED)]
    families = [f"{_any_case(family)}.*" for family in REFUSED_FAMILIES]
    respelt = [f"(?!{name}$){_any_case(name)}" for name in fields]
    return f"^(?:{'|'.join([*refused, *families, *respelt])})$"


def _any_case(name: str) -> str:
    """Pattern of what folds to a name; two letters of Unicode fold to `k` and `s`."""
    more = {"k": "\u212a", "s": "\u017f"}
    return "".join(f"[{c}{c.upper()}{more.get(c, '')}]" if c.isalpha() else re.escape(c) for c in name)


def _answered_paths() -> dict[str, Any]:
    paths = {}
    for path in FIELDS:
        more: tuple[int, ...] = (422, 502, 504)
        operation = _operation(f"Answer by {path}.", {"type": "object"}, [*_ANY, *more], request_schema(path))
        well = operation["responses"]["200"]
        well["headers"] = HEADERS
        well["content"]["text/event-stream"] = {"schema": EVENT}
        operation["parameters"] = [_CONVERSATION]
        paths[f"/v1{path}"] = {"post": operation}
    return paths


def _own_paths() -> dict[str, Any]:
    route = _operation("Decide, and call nothing.", ROUTED_PLAN, [*_ANY, 422], request_schema("/chat/completions"))
    return {
        "/v1/route": {"post": {**route, "parameters": [_CONVERSATION]}},
        "/v1/feedback": {"post": _operation("Tell what came of a decision.", FEEDBACK_GIVEN, _ANY, FEEDBACK)},
        "/v1/reload": {"post": _operation("Look for a changed router.", RELOADED, _ANY)},
        "/v1/models": {"get": _operation("Every model.", MODELS, _ANY)},
        "/v1/models/{name}": {"get": _named(_operation("One model.", MODEL, _ANY), "name")},
        "/v1/decisions/{id}": {"get": _named(_operation("One decision.", DECISION, _ANY), "id")},
        "/v1/csrf": {"get": _operation("A token for admin actions from a browser.", CSRF, _ANY)},
        "/metrics": {"get": _operation("Prometheus metrics.", {"type": "string"}, _ANY, media="text/plain")},
    }


def _open_paths() -> dict[str, Any]:
    ready = _operation("Whether requests can be served.", READINESS, _OPEN)
    ready["responses"]["503"]["content"] = {
        _JSON: {"schema": {"anyOf": [READINESS, {"$ref": "#/components/schemas/Error"}]}}
    }
    paths = {
        "/healthz": _operation("Whether the process lives.", HEALTH, _OPEN),
        "/readyz": ready,
        "/openapi.json": _operation("This document.", {"type": "object"}, _OPEN),
    }
    return {path: {"get": {**operation, "security": []}} for path, operation in paths.items()}


def _operation(
    summary: str,
    answer: Mapping[str, Any],
    statuses: Iterable[int],
    body: Mapping[str, Any] | None = None,
    media: str = _JSON,
) -> dict[str, Any]:
    problem = {"content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}
    responses: dict[str, Any] = {"200": {"description": STATUSES[200], "content": {media: {"schema": answer}}}}
    responses |= {str(status): {"description": STATUSES[status], **problem} for status in statuses}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    return operation


def _named(operation: dict[str, Any], name: str) -> dict[str, Any]:
    parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {**operation, "parameters": [parameter]}


_CONVERSATION = {
    "name": "x-forethought-conversation",
    "in": "header",
    "required": False,
    "description": "Keeps one target for all turns of a conversation.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}
