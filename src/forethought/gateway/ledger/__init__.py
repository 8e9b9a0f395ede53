"""The ledger: what was decided, spent and achieved, durable before it is acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BudgetSpent": "errors",
        "Closing": "records",
        "Feedback": "records",
        "Ledger": "ledger",
        "LedgerLost": "errors",
        "Opening": "records",
        "QuotaSpent": "errors",
    },
)

if TYPE_CHECKING:
    from forethought.gateway.ledger.errors import BudgetSpent as BudgetSpent
    from forethought.gateway.ledger.errors import LedgerLost as LedgerLost
    from forethought.gateway.ledger.errors import QuotaSpent as QuotaSpent
    from forethought.gateway.ledger.ledger import Ledger as Ledger
    from forethought.gateway.ledger.records import Closing as Closing
    from forethought.gateway.ledger.records import Feedback as Feedback
    from forethought.gateway.ledger.records import Opening as Opening
