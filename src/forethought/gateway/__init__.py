"""The server: OpenAI's API in front of a router and its targets, with a ledger, keys and budgets.

`Services` are what a gateway is made of, `Gateway` is the ASGI application over them, `serve` runs one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Gateway": "app",
        "GatewayConfig": "config",
        "Ledger": "ledger",
        "Problem": "problems",
        "Services": "services",
        "read_config": "config",
        "serve": "serve",
    },
)

if TYPE_CHECKING:
    from forethought.gateway.app import Gateway as Gateway
    from forethought.gateway.config import GatewayConfig as GatewayConfig
    from forethought.gateway.config import read_config as read_config
    from forethought.gateway.ledger import Ledger as Ledger
    from forethought.gateway.problems import Problem as Problem
    from forethought.gateway.serve import serve as serve
    from forethought.gateway.services import Services as Services
