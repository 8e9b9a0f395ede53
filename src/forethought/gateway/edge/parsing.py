"""A body's bytes to a request, or to one clear sentence about what is wrong with them.

A body is often handed on as it came, so it must not mean one thing here and another upstream. Parsers differ in which
of two equal keys they take, and some ignore case (Go's `encoding/json`): no object may hold a key twice, however it is
escaped, and a field that is read here may stand there under no other spelling.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from random import getrandbits
from typing import Any

from pydantic_core import from_json

from forethought.gateway.base import ClientRequest, Key
from forethought.gateway.edge.fields import FIELDS, Field, shown
from forethought.gateway.edge.headers import Headers, conversation_of, shown_headers
from forethought.gateway.edge.messages import fault_of
from forethought.gateway.edge.refusals import is_refused
from forethought.gateway.edge.structure import keys_kept, keys_told
from forethought.gateway.problems import Problem

LONGEST_NAME = 64
"""Characters of a field's name that a message repeats."""

_REQUIRED = {path: [name for name, field in fields.items() if field.required] for path, fields in FIELDS.items()}


def parse_request(path: str, raw: bytes, key: Key, headers: Headers) -> ClientRequest:
    """Read a request.

    Args:
        path: Below the API's root, one of those in `FIELDS`.
        raw: The body.
        key: Who asks.
        headers: Lower-case names.

    Raises:
        Problem: 400, naming the field that is wrong, what it holds and what is allowed.
    """
    body = parse_body(path, raw)
    return ClientRequest(new_id(), path, raw, body, key, shown_headers(headers, key), conversation_of(headers))


def parse_body(path: str, raw: bytes) -> dict[str, Any]:
    """Read a body by the rules of one path.

    Raises:
        Problem: 400.
    """
    body = parse_object(raw)
    _check_fields(path, body)
    return body


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object whose numbers are all finite and whose objects hold no key twice.

    Raises:
        Problem: 400.
    """
    told = keys_told(raw)
    try:
        body = from_json(raw, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}", code="invalid_json") from None
    if type(body) is not dict:
        raise Problem(400, f"the body must be a JSON object, got {shown(body)}", code="invalid_json")
    try:
        kept = keys_kept(body)
    except OverflowError:
        raise Problem(400, "the body holds a number beyond the range of a double", code="invalid_json") from None
    if kept != told:
        raise Problem(400, "a key stands more than once in one object of the body", code="invalid_json")
    return body


def new_id() -> str:
    """A new request's id: 48 bits of time, so that ids sort by it, and 48 of chance."""
    return f"dec-{time.time_ns() // 1_000_000:012x}{getrandbits(48):012x}"


def _check_fields(path: str, body: dict[str, Any]) -> None:
    fields = FIELDS[path]
    for name in _REQUIRED[path]:
        if body.get(name) is None:
            raise _invalid(name, f"{name} is required, and must be {fields[name].wanted}")
    for name, value in body.items():
        field = fields.get(name)
        if field is None:
            _check_unread(name, fields)
        elif value is not None and not field.accepts(value):
            body[name] = _as_integer(name, field, value)


def _as_integer(name: str, field: Field, value: Any) -> int:
    """An integer that was written as 5.0, which JSON Schema counts as one too."""
    if type(value) is float and value.is_integer() and field.accepts(int(value)):
        return int(value)
    raise _wrong(name, field, value)


def _check_unread(name: str, fields: Mapping[str, Field]) -> None:
    """Let a field pass that only the upstream reads, unless it steers or passes for one that is read here."""
    if is_refused(name):
        raise Problem(
            400,
            f"{name[:LONGEST_NAME]!r} would choose where or as what the request is sent, which only the gateway does",
            code="field_refused",
            param=name[:LONGEST_NAME],
        )
    if name.casefold() in fields:
        raise _invalid(name, f"{name!r} must be spelt {name.casefold()!r}")


def _wrong(name: str, field: Field, value: Any) -> Problem:
    if name == "messages" and type(value) is list and (fault := fault_of(value)) is not None:
        where, wanted = fault
        return Problem(400, f"{where} must be {wanted}", code="invalid_value", param=where)
    return _invalid(name, f"{name} must be {field.wanted}, got {shown(value)}")


def _invalid(name: str, message: str) -> Problem:
    return Problem(400, message, code="invalid_value", param=name[:LONGEST_NAME])
