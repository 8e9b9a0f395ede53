"""Calling endpoints, surviving their faults, relaying their streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CircuitBreaker": "breaker",
        "Failover": "failover",
        "Failure": "base",
        "HttpUpstream": "http",
        "Reply": "base",
        "RetryBudget": "retry_budget",
        "Rung": "rung",
        "Upstream": "base",
        "UpstreamFailure": "base",
        "UpstreamRequest": "base",
    },
)

if TYPE_CHECKING:
    from forethought.gateway.upstreams.base import Failure as Failure
    from forethought.gateway.upstreams.base import Reply as Reply
    from forethought.gateway.upstreams.base import Upstream as Upstream
    from forethought.gateway.upstreams.base import UpstreamFailure as UpstreamFailure
    from forethought.gateway.upstreams.base import UpstreamRequest as UpstreamRequest
    from forethought.gateway.upstreams.breaker import CircuitBreaker as CircuitBreaker
    from forethought.gateway.upstreams.failover import Failover as Failover
    from forethought.gateway.upstreams.http import HttpUpstream as HttpUpstream
    from forethought.gateway.upstreams.retry_budget import RetryBudget as RetryBudget
    from forethought.gateway.upstreams.rung import Rung as Rung
