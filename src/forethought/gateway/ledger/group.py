"""One transaction for a group of records: money first, then what is written of the requests that may go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from forethought.errors import BudgetError
from forethought.gateway.ledger.budgets import Spending, held, limited
from forethought.gateway.ledger.connection import Connection
from forethought.gateway.ledger.entries import Entry
from forethought.gateway.ledger.errors import BudgetSpent
from forethought.gateway.ledger.records import Closing, Feedback, Opening
from forethought.gateway.ledger.rows import attempt_rows, closing_row, cost_of, opening_row, storable
from forethought.gateway.ledger.statements import Statements


class GroupWriter:
    """Writes groups of records.

    Rows are locked in one order, whatever the group: decisions by id, then each key's day by key and day, then
    reservations under their day. So transactions of several processes wait for each other, never in a circle.

    Args:
        statements: For the database.
        reserve_seconds: After which what was reserved is given back, should nobody have settled it.
    """

    def __init__(self, statements: Statements, reserve_seconds: float) -> None:
        self._sql = statements
        self._reserve_seconds = reserve_seconds

    def write(self, connection: Connection, group: Sequence[Entry]) -> None:
        """Write a group within a transaction, and note for each entry what its caller is to be told."""
        sorted_out = _Group.of(group)
        closed = self._lock(connection, sorted_out)
        ending = {id: closing for id, closing in sorted_out.closings.items() if closed.get(id, 0.0) is None}
        for (key, day), work in sorted(sorted_out.days().items()):
            self._account(connection, _Day(key, day, ending, *work))
        self._open(connection, [opening for entry, opening in sorted_out.openings if entry.error is None])
        self._close(connection, list(ending.values()))
        self._tell(connection, sorted_out.feedback, closed)

    def sweep(self, connection: Connection, now: float) -> int:
        """Give back, within a transaction, every reservation that has expired; how many."""
        count = 0
        for key, day in sorted(connection.rows(self._sql.expired, (now,))):
            connection.rows(self._sql.lock_spending, (key, day))
            amounts = [amount for _, amount in connection.rows(self._sql.expire, (key, day, now))]
            connection.run(self._sql.add_spending, (key, day, 0, -sum(amounts), 0, 0))
            count += len(amounts)
        return count

    def _lock(self, connection: Connection, group: _Group) -> dict[str, float | None]:
        """Of the decisions that the group adds to, those that exist, with when they were closed."""
        ids = {*group.closings, *(feedback.decision for _, feedback in group.feedback)}
        return dict(connection.among(self._sql.lock_decisions, list(ids))) if ids else {}

    def _account(self, connection: Connection, day: _Day) -> None:
        """Charge what has ended, then admit what may go on; one change of `spending` for both."""
        if day.limited:
            before = self._standing(connection, day)
            day.spending = Spending(before.spent, before.reserved, before.requests, before.dear)
        else:
            before = Spending()
        self._charge(connection, day)
        for entry, opening in day.openings:
            entry.error = self._admit(connection, day, opening)
        now = day.spending
        change = (
            now.spent - before.spent,
            now.reserved - before.reserved,
            now.requests - before.requests,
            now.dear - before.dear,
        )
        if any(change):
            connection.run(self._sql.add_spending, (day.key, day.day, *change))

    def _standing(self, connection: Connection, day: _Day) -> Spending:
        """What a key has spent, in a row that nobody else changes until the transaction ends."""
        here = (day.key, day.day)
        if not (found := connection.rows(self._sql.lock_spending, here)):
            connection.run(self._sql.open_spending, (*here, 0, 0, 0, 0))
            found = connection.rows(self._sql.lock_spending, here)
        return Spending(*found[0])

    def _charge(self, connection: Connection, day: _Day) -> None:
        """Give reservations back and charge costs; a decision that was deleted meanwhile is known by the former."""
        released = {}
        if any(closing.key.daily_budget is not None for closing in day.closings):
            ids = [closing.id for closing in day.closings]
            released = dict(connection.among(self._sql.release, ids, (day.key, day.day)))
        for closing in day.closings:
            if closing.id in day.ending or closing.id in released:
                day.spending.spent += cost_of(closing)
                day.spending.reserved -= released.get(closing.id, 0)

    def _admit(self, connection: Connection, day: _Day, opening: Opening) -> BudgetError | None:
        """Count a request that may go on; before money refuses it, what has expired is given back."""
        refusal = day.spending.refusal(opening)
        if isinstance(refusal, BudgetSpent) and not day.swept:
            day.swept = True
            expired = connection.rows(self._sql.expire, (day.key, day.day, opening.at))
            day.spending.reserved -= sum(amount for _, amount in expired)
            refusal = day.spending.refusal(opening)
        if refusal is None:
            day.spending.admit(opening)
        return refusal

    def _open(self, connection: Connection, openings: Sequence[Opening]) -> None:
        connection.many(self._sql.insert_decision, [opening_row(opening) for opening in openings])
        reservations = [
            (opening.key.id, opening.day, opening.id, amount, opening.at + self._reserve_seconds)
            for opening in openings
            if (amount := held(opening))
        ]
        connection.many(self._sql.insert_reservation, reservations)

    def _close(self, connection: Connection, closings: Sequence[Closing]) -> None:
        connection.many(self._sql.close_decision, [closing_row(closing) for closing in closings])
        connection.many(self._sql.insert_attempt, [row for closing in closings for row in attempt_rows(closing)])

    def _tell(
        self, connection: Connection, given: Sequence[tuple[Entry, Feedback]], known: dict[str, float | None]
    ) -> None:
        """Record outcomes of known decisions, the last word of each source."""
        last: dict[tuple[str, str], tuple[str, str, float, float]] = {}
        for entry, told in given:
            entry.result = told.decision in known
            if entry.result:
                source = storable(told.source)
                last[told.decision, source] = (told.decision, source, told.success, told.at)
        connection.many(self._sql.put_outcome, [last[place] for place in sorted(last)])


@dataclass(slots=True)
class _Group:
    """The records of a group by kind; of two closings of one decision, the first."""

    openings: list[tuple[Entry, Opening]] = field(default_factory=list)
    closings: dict[str, Closing] = field(default_factory=dict)
    feedback: list[tuple[Entry, Feedback]] = field(default_factory=list)

    @classmethod
    def of(cls, group: Sequence[Entry]) -> _Group:
        """Sort out entries."""
        made = cls()
        for entry in group:
            work = entry.work
            if isinstance(work, Opening):
                made.openings.append((entry, work))
            elif isinstance(work, Closing):
                made.closings.setdefault(work.id, work)
            elif isinstance(work, Feedback):
                made.feedback.append((entry, work))
        return made

    def days(self) -> dict[tuple[str, str], tuple[list[tuple[Entry, Opening]], list[Closing]]]:
        """Openings and closings by the key and the day that they count in."""
        days: dict[tuple[str, str], tuple[list[tuple[Entry, Opening]], list[Closing]]] = {}
        for entry, opening in self.openings:
            days.setdefault((opening.key.id, opening.day), ([], []))[0].append((entry, opening))
        for closing in self.closings.values():
            days.setdefault((closing.key.id, closing.admitted), ([], []))[1].append(closing)
        return days


@dataclass(slots=True)
class _Day:
    """What a group does to one key's day.

    Attributes:
        key: Id of the key.
        day: UTC, `YYYY-MM-DD`.
        ending: Closings, by id, of decisions that were open.
        openings: To be admitted.
        closings: To be charged.
        spending: How the key stands; from zero where its limits need no looking up.
        swept: Whether expired reservations were given back.
    """

    key: str
    day: str
    ending: dict[str, Closing]
    openings: list[tuple[Entry, Opening]]
    closings: list[Closing]
    spending: Spending = field(default_factory=Spending)
    swept: bool = False

    @property
    def limited(self) -> bool:
        """Whether the key has a limit that is looked up under a lock."""
        return any(limited(opening.key) for _, opening in self.openings) or any(
            closing.key.daily_budget is not None for closing in self.closings
        )
