"""The edge: what stands between a socket and everything else, and lets nothing past that is not well-formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ClientGone": "body",
        "HangUp": "hang_up",
        "Keyring": "authentication",
        "Metrics": "metrics",
        "RateLimiter": "rate_limit",
        "guarded": "protocol",
        "hang_up_of": "hang_up",
        "openapi": "openapi",
        "parse_request": "parsing",
        "read_body": "body",
        "route_answer": "endpoints",
        "small_endpoints": "mounting",
    },
)

if TYPE_CHECKING:
    from forethought.gateway.edge.authentication import Keyring as Keyring
    from forethought.gateway.edge.body import ClientGone as ClientGone
    from forethought.gateway.edge.body import read_body as read_body
    from forethought.gateway.edge.endpoints import route_answer as route_answer
    from forethought.gateway.edge.hang_up import HangUp as HangUp
    from forethought.gateway.edge.hang_up import hang_up_of as hang_up_of
    from forethought.gateway.edge.metrics import Metrics as Metrics
    from forethought.gateway.edge.mounting import small_endpoints as small_endpoints
    from forethought.gateway.edge.openapi import openapi as openapi
    from forethought.gateway.edge.parsing import parse_request as parse_request
    from forethought.gateway.edge.protocol import guarded as guarded
    from forethought.gateway.edge.rate_limit import RateLimiter as RateLimiter
