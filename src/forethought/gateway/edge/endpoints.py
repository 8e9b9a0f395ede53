"""The small endpoints: what there is, what was decided, what came of it, and how the gateway is."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from forethought.core import Decision
from forethought.gateway.base import Key, Plan
from forethought.gateway.config import ROUTED, GatewayConfig
from forethought.gateway.edge.fields import shown
from forethought.gateway.edge.parsing import parse_object
from forethought.gateway.ledger.records import Feedback
from forethought.gateway.problems import Problem

LONGEST_SOURCE = 64
"""Characters of a feedback's source."""

LONGEST_ID = 64
"""Characters of a decision's id."""

_FEEDBACK = ("decision", "success", "source")


def model_list(config: GatewayConfig) -> dict[str, Any]:
    """Every model that may be asked for, as `GET /v1/models` lists them."""
    return {"object": "list", "data": [model_entry(name) for name in model_names(config)]}


def model_names(config: GatewayConfig) -> list[str]:
    """The routed names, where there is a router, then the targets."""
    routed = [] if config.router is None else [ROUTED, *(f"{ROUTED}/{name}" for name in config.policies)]
    return [*routed, *(entry.name for entry in config.target)]


def model_entry(name: str) -> dict[str, Any]:
    """One model."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "forethought"}


def known_model(config: GatewayConfig, name: str) -> dict[str, Any]:
    """One model of the list.

    Raises:
        Problem: 404.
    """
    if name not in model_names(config):
        raise Problem(404, "no such model; GET /v1/models lists them", code="model_not_found", param="model")
    return model_entry(name)


def readable_decision(decision: Mapping[str, Any] | None, key: Key) -> Mapping[str, Any]:
    """A decision, for whoever made it and for admins; for others there is none.

    Raises:
        Problem: 404.
    """
    if decision is None or (key.scope != "admin" and decision["key_id"] != key.id):
        raise no_decision()
    return decision


def no_decision() -> Problem:
    """What is said of a decision that does not exist, or is not the asker's."""
    return Problem(404, "no such decision", code="decision_not_found")


def feedback_of(raw: bytes) -> Feedback:
    """Read an outcome: `{"decision": id, "success": 0 to 1, "source": who says so}`.

    Raises:
        Problem: 400.
    """
    body = parse_object(raw)
    if unknown := [name for name in body if name not in _FEEDBACK]:
        raise _invalid(unknown[0], f"unknown field; a feedback has {', '.join(_FEEDBACK)}")
    decision: Any = body.get("decision")
    success: Any = body.get("success")
    source: Any = body.get("source", "user")
    if not _is_text(decision, LONGEST_ID):
        raise _invalid(
            "decision", f"decision must be 1 to {LONGEST_ID} visible ASCII characters, got {shown(decision)}"
        )
    if type(success) not in (int, float) or not 0 <= success <= 1 or not math.isfinite(success):
        raise _invalid("success", f"success must be a number from 0 to 1, got {shown(success)}")
    if not _is_text(source, LONGEST_SOURCE):
        raise _invalid("source", f"source must be 1 to {LONGEST_SOURCE} visible ASCII characters, got {shown(source)}")
    return Feedback(decision, float(success), source, time.time())


def route_answer(id: str, plan: Plan) -> dict[str, Any]:
    """What `POST /v1/route` tells of a plan; nothing was called."""
    decision = plan.decision or Decision(None, (), "named", {}, "the client named the target")
    reading = plan.reading
    return {
        "id": id,
        "target": plan.targets[0] if plan.targets else None,
        "order": list(plan.targets),
        "predictions": [prediction._asdict() for prediction in decision.predictions],
        "rule": decision.rule,
        "setting": decision.setting,
        "reason": decision.reason,
        "artifact": decision.artifact,
        "read": None if reading is None else reading.read,
        "of": None if reading is None else reading.of,
        "note": plan.note,
    }


def readiness(parts: Mapping[str, bool]) -> tuple[int, dict[str, Any]]:
    """Status and body of `GET /readyz`: 503 where a part is not well."""
    well = all(parts.values())
    return (200 if well else 503), {"ready": well, "parts": dict(parts)}


def allowed(methods: Iterable[str]) -> Problem:
    """What is said where a path exists, but not for a method."""
    return Problem(
        405,
        "this path does not take this method",
        code="method_not_allowed",
        headers={"allow": ", ".join(sorted(methods))},
    )


def _is_text(value: Any, most: int) -> bool:
    return type(value) is str and 0 < len(value) <= most and all("!" <= c <= "~" for c in value)


def _invalid(name: str, message: str) -> Problem:
    return Problem(400, message, code="invalid_value", param=name[:LONGEST_ID])
