"""Records as rows, and rows as plain data."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json

from forethought.core import Decision
from forethought.gateway.base import Attempt, Key, Plan, Reading
from forethought.gateway.ledger.records import Closing, Opening
from forethought.gateway.ledger.schema import attempts, decisions, outcomes

Row = tuple[Any, ...]

_NO_DECISION = (None,) * 6
_NO_READING = (None,) * 5
_ROUTER = ("rule", "setting", "reason", "artifact", "chosen", "predictions")
_READING = ("read", "of", "encoder_tokens", "logits", "projection")
_DECISIONS = decisions.columns.keys()
_ATTEMPTS = attempts.columns.keys()
_OUTCOMES = outcomes.columns.keys()


def opening_row(opening: Opening) -> Row:
    """A row of `decisions` without the columns `statements.CLOSING`."""
    plan = opening.plan
    return (
        opening.id,
        opening.at,
        opening.key.id,
        opening.path,
        storable(opening.model),
        opening.stream,
        opening.dear,
        _json(plan.targets),
        None if plan.conversation is None else storable(plan.conversation),
        storable(plan.note),
        *_router_columns(plan),
        *_reading_columns(plan.reading),
        None if opening.text is None else storable(opening.text),
    )


def closing_row(closing: Closing) -> Row:
    """The columns `statements.CLOSING` and the decision's id."""
    cost = cost_of(closing)
    return (closing.at, closing.ending, closing.status, closing.target, closing.seconds, cost, closing.id)


def cost_of(closing: Closing) -> int:
    """Nanodollars of every attempt."""
    return sum(attempt.cost for attempt in closing.attempts)


def attempt_rows(closing: Closing) -> list[Row]:
    """Rows of `attempts`."""
    return [_attempt_row(closing.id, number, attempt) for number, attempt in enumerate(closing.attempts)]


def decision_data(decision: Row, tried: Sequence[Row], told: Sequence[Row]) -> dict[str, Any]:
    """All that is known of a decision: its columns, with the router's and the reading's as mappings of their own."""
    columns = dict(zip(_DECISIONS, decision, strict=True))
    router = {name: columns.pop(name) for name in _ROUTER}
    reading = {name: columns.pop(name) for name in _READING}
    columns |= {name: bool(columns[name]) for name in ("stream", "dear")}
    return {
        **columns,
        "targets": from_json(columns["targets"]),
        "decision": None if router["rule"] is None else _router_data(router),
        "reading": None if reading["read"] is None else _reading_data(reading),
        "attempts": [_attempt_data(row) for row in tried],
        "outcomes": [dict(zip(_OUTCOMES[1:], row[1:], strict=True)) for row in told],
    }


def key_of(row: Row) -> tuple[Key, bytes]:
    """A key and its digest from a row of `keys`."""
    id, digest, name, scope, daily_budget, requests_per_second, dear_share = row[:7]
    return Key(id, name, scope, daily_budget, requests_per_second, dear_share), bytes(digest)


def storable(text: str) -> str:
    """A text without what a database cannot hold: NUL, and halves of surrogate pairs."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _router_columns(plan: Plan) -> Row:
    decision = plan.decision
    return _NO_DECISION if decision is None else _decision_columns(decision)


def _decision_columns(decision: Decision) -> Row:
    plain = [tuple(prediction) for prediction in decision.predictions]  # named tuples take four times as long
    setting, predictions = _json(decision.setting), _json(plain)
    return (decision.rule, setting, decision.reason, decision.artifact, decision.target, predictions)


def _reading_columns(reading: Reading | None) -> Row:
    if reading is None:
        return _NO_READING
    logits, projection = _floats(reading.logits), _floats(reading.projection)
    return (reading.read, reading.of, reading.encoder_tokens, logits, projection)


def _attempt_row(id: str, number: int, attempt: Attempt) -> Row:
    return (
        id,
        number,
        attempt.target,
        attempt.status,
        attempt.input_tokens,
        attempt.cached_tokens,
        attempt.output_tokens,
        attempt.cost,
        attempt.seconds,
        attempt.first_seconds,
        storable(attempt.error),
        attempt.estimated,
    )


def _router_data(router: dict[str, Any]) -> dict[str, Any]:
    predictions = from_json(router["predictions"])
    named = ("target", "success", "output_tokens", "cost_usd")
    return {
        "target": router["chosen"],
        **{name: router[name] for name in ("rule", "reason", "artifact")},
        "setting": from_json(router["setting"]),
        "predictions": [dict(zip(named, prediction, strict=True)) for prediction in predictions],
    }


def _reading_data(reading: dict[str, Any]) -> dict[str, Any]:
    vectors = {name: _numbers(reading[name]) for name in ("logits", "projection")}
    return {**reading, **vectors}


def _attempt_data(row: Row) -> dict[str, Any]:
    data = dict(zip(_ATTEMPTS[2:], row[2:], strict=True))
    return {**data, "estimated": bool(data["estimated"])}


def _json(value: Any) -> str:
    return to_json(value, inf_nan_mode="null").decode()


def _floats(values: Sequence[float]) -> bytearray:
    """Vectors as the drivers take them fastest: `sqlite3` looks for an adapter of `bytes`."""
    return bytearray(struct.pack(f"<{len(values)}f", *values))


def _numbers(stored: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(stored) // 4}f", stored))
