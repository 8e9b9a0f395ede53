"""One target to ask, ready to be asked."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.core import Prices
from forethought.gateway.upstreams.base import Upstream, UpstreamRequest


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a ladder of targets.

    Attributes:
        target: Name in the pool.
        upstream: Who answers for it.
        request: What it is asked, in its own terms.
        prices: What its tokens cost; None where no cost is recorded.
        context: Longest prompt and answer together, tokens; None where unknown. A request that is too long for
            one target is sent on to a later one only if that one is known to hold more.
        bound: Most that one attempt may cost, nanodollars; 0 where no budget depends on it.
    """

    target: str
    upstream: Upstream
    request: UpstreamRequest
    prices: Prices | None = None
    context: int | None = None
    bound: int = 0
