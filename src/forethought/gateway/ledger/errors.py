"""Why the ledger does not take something down."""

from __future__ import annotations

from forethought.errors import ArtifactError, BudgetError


class BudgetSpent(BudgetError):  # noqa: N818 - named for what the ledger found
    """A key's budget of the day does not allow a request."""


class QuotaSpent(BudgetError):  # noqa: N818 - named for what the ledger found
    """A key's share of dear targets does not allow a request."""


class LedgerLost(ArtifactError):  # noqa: N818 - named for what the ledger found
    """The ledger could not be written or read: no space, no permission, no connection."""
