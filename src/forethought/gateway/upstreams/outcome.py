"""What a client is told when nobody answered."""

from __future__ import annotations

from math import ceil, isfinite

from forethought.gateway.base import Delivery
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams.climb import Climb
from forethought.gateway.upstreams.refusal import Refusal

_UNAVAILABLE, _REJECTED = "upstream_unavailable", "upstream_rejected"
_GATEWAY_FAULTS = ("misconfigured", "absent")


def refused(refusal: Refusal, target: str) -> Delivery:
    """An upstream's own error reply, as it came."""
    status = refusal.status or 502
    return Delivery(status, refusal.content_type, target, refusal.reply, headers=dict(refusal.headers))


def problem_of_routed(climb: Climb, wait: float) -> Problem:
    """The problem of a routed request, in the gateway's own words: which upstream failed how is not the client's.

    Args:
        climb: Where every rung was used up or rests.
        wait: Seconds until one may be asked again.
    """
    if climb.late:
        return _late()
    failures = [leg.failure for leg in climb.legs]
    if failures and all(isinstance(f, Refusal) and f.verdict in _GATEWAY_FAULTS for f in failures):
        return Problem(502, "Every target for this request rejects the gateway.", code=_REJECTED)
    return _unavailable(503, "No target for this request can be reached now; try again later.", wait)


def outcome_of_named(climb: Climb, wait: float) -> Delivery:
    """What became of a request for one target that the client named: the upstream's last error reply, if one came.

    Raises:
        Problem: None came, or one that is about the gateway's own key.
    """
    [leg] = climb.legs
    failure, target = leg.failure, leg.rung.target
    if climb.late:
        raise _late()
    if failure is None:
        raise _unavailable(503, f"The model {target!r} is not asked now, since it failed or asked for rest.", wait)
    if isinstance(failure, Refusal):
        if failure.verdict == "misconfigured":
            raise Problem(502, f"The upstream of {target!r} rejects the gateway.", code=_REJECTED)
        return refused(failure, target)
    if failure.kind == "timeout":
        raise Problem(504, f"The upstream of {target!r} did not answer in time.", code="upstream_timeout")
    raise _unavailable(502, f"The upstream of {target!r} gave no answer: {failure.kind}.", wait)


def _late() -> Problem:
    return Problem(504, "The request took longer than the gateway allows.", code="deadline")


def _unavailable(status: int, message: str, wait: float) -> Problem:
    headers = {"retry-after": str(max(1, ceil(wait)))} if isfinite(wait) else {}
    return Problem(status, message, code=_UNAVAILABLE, headers=headers)
