"""From a client's request to a plan: what the router reads, which targets can serve it, and which one is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Conversations": "conversations",
        "Features": "loaded",
        "Planner": "planner",
        "RouterHost": "host",
        "missing": "capabilities",
        "routed_text": "reading",
    },
)

if TYPE_CHECKING:
    from forethought.gateway.routing.capabilities import missing as missing
    from forethought.gateway.routing.conversations import Conversations as Conversations
    from forethought.gateway.routing.host import RouterHost as RouterHost
    from forethought.gateway.routing.loaded import Features as Features
    from forethought.gateway.routing.planner import Planner as Planner
    from forethought.gateway.routing.reading import routed_text as routed_text
