"""What an answer tells of the decision behind it, in headers that any client can read."""

from __future__ import annotations

from urllib.parse import quote

from forethought.gateway.base import Plan
from forethought.gateway.money import usd

Headers = list[tuple[bytes, bytes]]

NAMED = "named"
"""The rule of a request whose client named its target."""


def decision_headers(id: str, plan: Plan, target: str | None) -> Headers:
    """Headers that are known before an answer: the decision, what it expected, and who answers.

    Args:
        id: Of the decision; `/v1/decisions/<id>` tells the rest.
        plan: What was decided.
        target: Who answers, None for nobody.
    """
    headers = [(b"x-forethought-decision", id.encode()), (b"x-forethought-target", _text(target or "none"))]
    if (decision := plan.decision) is None:
        return [*headers, (b"x-forethought-rule", NAMED.encode())]
    setting = ";".join(f"{name}={value:g}" for name, value in decision.setting.items())
    success = ",".join(f"{quote(p.target)}={p.success:.4f}" for p in decision.predictions)
    headers += [
        (b"x-forethought-rule", _text(f"{decision.rule};{setting}" if setting else decision.rule)),
        (b"x-forethought-success", success.encode()),
        (b"x-forethought-artifact", decision.artifact.encode()),
        (b"x-forethought-reason", _text(decision.reason)),
    ]
    expected = next((p.cost_usd for p in decision.predictions if p.target == decision.target), None)
    if expected is not None:
        headers.append((b"x-forethought-expected-cost-usd", f"{expected:.9f}".encode()))
    if plan.reading is not None:
        headers.append((b"x-forethought-read", f"{plan.reading.read}/{plan.reading.of} characters".encode()))
    if plan.note:
        headers.append((b"x-forethought-note", _text(plan.note)))
    return headers


def failover_headers(chosen: str | None) -> Headers:
    """Who should have answered and could not."""
    return [] if chosen is None else [(b"x-forethought-failed", _text(chosen))]


def cost_header(cost: int) -> tuple[bytes, bytes]:
    """What an answer cost, from nanodollars."""
    return b"x-forethought-cost-usd", f"{usd(cost):.9f}".encode()


def cost_comment(cost: int) -> bytes:
    """The same as a comment of an event stream, whose headers were sent before anything was spent."""
    return b": x-forethought-cost-usd " + cost_header(cost)[1] + b"\n\n"


LOST_COMMENT = b": x-forethought-recorded false\n\n"
"""Told at the end of a stream whose account could not be written, after its headers said that it was recorded."""


def printable(value: str) -> str:
    """A text as a header can hold it: printable ASCII, anything else as `?`."""
    return "".join(c if " " <= c <= "~" else "?" for c in value)


def _text(value: str) -> bytes:
    return printable(value).encode()
