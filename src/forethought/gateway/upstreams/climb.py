"""One request's way along its ladder of targets: who was asked, who may be asked again and when."""

from __future__ import annotations

from collections.abc import Sequence

from forethought.gateway.upstreams.base import UpstreamFailure
from forethought.gateway.upstreams.rung import Rung


class Leg:
    """One rung within one request.

    Attributes:
        rung: The target.
        tries: Requests sent to it.
        over: Whether it may not be asked any more.
        ready: Time from which it may be asked again.
        failure: Its last one.
    """

    __slots__ = ("failure", "over", "ready", "rung", "tries")

    def __init__(self, rung: Rung) -> None:
        self.rung = rung
        self.tries = 0
        self.over = False
        self.ready = 0.0
        self.failure: UpstreamFailure | None = None


class Climb:
    """All rungs of one request.

    Attributes:
        legs: In the order in which they are preferred.
        until: Time at which the request is given up.
        passes: Verdicts on an error reply that make it the client's answer.
        late: Whether it was given up because of the time.
    """

    __slots__ = ("late", "legs", "passes", "until")

    def __init__(self, rungs: Sequence[Rung], until: float, passes: frozenset[str]) -> None:
        self.legs = [Leg(rung) for rung in rungs]
        self.until = until
        self.passes = passes
        self.late = False

    def only_larger(self, leg: Leg) -> bool:
        """A request was too long for one target: leave only those known to hold more; whether there are any."""
        size = leg.rung.context
        for other in self.legs:
            other.over |= size is None or other.rung.context is None or other.rung.context <= size
        return any(not other.over for other in self.legs)
