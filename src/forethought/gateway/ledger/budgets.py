"""What a key may still spend in a day."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.errors import BudgetError
from forethought.gateway.base import Key
from forethought.gateway.ledger.errors import BudgetSpent, QuotaSpent
from forethought.gateway.ledger.records import Opening


@dataclass(slots=True)
class Spending:
    """A key's day so far.

    Attributes:
        spent: Nanodollars charged.
        reserved: Nanodollars held for requests under way.
        requests: Requests admitted.
        dear: Of these, those whose chosen target is dear.
    """

    spent: int = 0
    reserved: int = 0
    requests: int = 0
    dear: int = 0

    def refusal(self, opening: Opening) -> BudgetError | None:
        """Why a request is not admitted, None where it is.

        Charges and reservations together never exceed the budget, and where they have reached it, not even a
        request that may cost nothing is admitted. Dear requests never exceed their share of those admitted.
        """
        key = opening.key
        if key.daily_budget is not None:
            used = self.spent + self.reserved
            if used >= key.daily_budget or used + opening.reserve > key.daily_budget:
                return BudgetSpent(
                    f"key {key.id!r} may spend {key.daily_budget} nanodollars a day: {self.spent} are spent, "
                    f"{self.reserved} reserved, {opening.reserve} asked for"
                )
        if opening.dear and key.dear_share is not None and self.dear + 1 > key.dear_share * (self.requests + 1):
            return QuotaSpent(
                f"key {key.id!r} may send {key.dear_share:g} of its requests to dear targets: "
                f"{self.dear} of {self.requests} were"
            )
        return None

    def admit(self, opening: Opening) -> None:
        """Count a request and hold what it may cost."""
        self.reserved += held(opening)
        self.requests += 1
        self.dear += opening.dear


def held(opening: Opening) -> int:
    """Nanodollars that are held for a request; a key without a budget needs none held."""
    return 0 if opening.key.daily_budget is None else opening.reserve


def limited(key: Key) -> bool:
    """Whether a key's day must be known before its request is admitted."""
    return key.daily_budget is not None or key.dear_share is not None
