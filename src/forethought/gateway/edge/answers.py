"""JSON Schemas of what the gateway itself answers."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_NUMBER = {"type": "number"}
_MAYBE_NUMBER = {"type": ["number", "null"]}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}


def _object(**properties: Any) -> dict[str, Any]:
    """An object that has all these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


ERROR = _object(error=_object(message=_TEXT, type=_TEXT, param=_MAYBE_TEXT, code=_MAYBE_TEXT))

EVENT = {"type": "object", "required": ["data"], "properties": {"data": _TEXT, "event": _TEXT}}
"""One event of a stream, as tools read it."""

MODEL = _object(id=_TEXT, object={"const": "model"}, created={"type": "integer"}, owned_by=_TEXT)

MODELS = _object(object={"const": "list"}, data=_list(MODEL))

ROUTED_PLAN = _object(
    id=_TEXT,
    target=_MAYBE_TEXT,
    order=_list(_TEXT),
    predictions=_list(
        _object(target=_TEXT, success=_SHARE, output_tokens=_MAYBE_NUMBER, cost_usd=_MAYBE_NUMBER),
    ),
    rule=_TEXT,
    setting={"type": "object", "additionalProperties": _NUMBER},
    reason=_TEXT,
    artifact=_TEXT,
    read={"type": ["integer", "null"]},
    of={"type": ["integer", "null"]},
    note=_TEXT,
)

DECISION = {"type": "object", "required": ["id"], "properties": {"id": _TEXT}}

FEEDBACK = {
    "type": "object",
    "required": ["decision", "success"],
    "properties": {
        "decision": {"type": "string", "pattern": "^[!-~]{1,64}$"},
        "success": _SHARE,
        "source": {"type": "string", "pattern": "^[!-~]{1,64}$"},
    },
    "additionalProperties": False,
}

FEEDBACK_GIVEN = _object(decision=_TEXT, success=_SHARE, source=_TEXT)

RELOADED = _object(reloaded={"type": "boolean"})

CSRF = _object(token=_TEXT)

HEALTH = _object(status={"const": "ok"})

READINESS = _object(ready={"type": "boolean"}, parts={"type": "object", "additionalProperties": {"type": "boolean"}})

HEADERS = {
    f"x-forethought-{name}": {"description": text, "schema": {"type": "string"}}
    for name, text in {
        "decision": "Id of the decision.",
        "target": "Who answered, or `none`.",
        "rule": "The rule and its setting; `named` where the client named the target.",
        "success": "P(success) of each target.",
        "artifact": "Hash of the router that decided.",
        "reason": "Why, in one sentence.",
        "expected-cost-usd": "What was expected to be spent.",
        "cost-usd": "What was spent; of a stream, a comment before its last event.",
        "read": "How much of the prompt the router read.",
        "note": "What else decided.",
        "recorded": "Whether the ledger has it.",
    }.items()
}
"""Of an answer."""
