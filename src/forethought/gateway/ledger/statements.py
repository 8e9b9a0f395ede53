"""Every statement of a ledger, made once by SQLAlchemy for the database at hand.

Values are given by position: those of an insert in the order of the table's columns, those of others in the order in
which their columns are named here, and names that are looked for among several last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Table, Text, any_, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.elements import ClauseElement

from forethought.gateway.ledger.schema import attempts, decisions, keys, outcomes, reservations, spending

CLOSING = ("closed_at", "ending", "status", "target", "seconds", "cost")
"""Columns of a decision that are known when its request has ended."""
AT_ONCE = 500
"""Decisions that one transaction deletes at most, so that requests need not wait long for it."""


@dataclass(frozen=True, slots=True)
class Among:
    """A statement about rows with some names, however many, in two forms.

    Attributes:
        one: For a single name, which costs least.
        several: For all names in one value, so that every number of them is the same prepared statement.
    """

    one: str
    several: str


class Statements:
    """SQL as text, by what it does.

    Args:
        dialect: Of the database, with a positional parameter style.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._writing()
        self._accounting()
        self._forgetting()
        self._reading()
        self._keeping_keys()

    def _writing(self) -> None:
        opening: dict[str, Any] = {
            column.name: bindparam(column.name) for column in decisions.columns if column.name not in CLOSING
        }
        self.insert_decision = self._sql(insert(decisions).values(opening))
        self.insert_attempt = self._sql(insert(attempts))
        locked = select(decisions.c.id, decisions.c.closed_at).order_by(decisions.c.id).with_for_update()
        self.lock_decisions = self._among(locked, decisions.c.id)
        closed: dict[str, Any] = {name: bindparam(name) for name in CLOSING}
        self.close_decision = self._sql(update(decisions).where(decisions.c.id == bindparam("one")).values(closed))
        self.put_outcome = self._upsert(outcomes, lambda new: {"success": new.success, "at": new.at})

    def _accounting(self) -> None:
        counters = [column for column in spending.columns if not column.primary_key]
        here = (spending.c.key_id == bindparam("a"), spending.c.day == bindparam("b"))
        self.lock_spending = self._sql(select(*counters).where(*here).with_for_update())
        self.open_spending = self._upsert(spending, None)
        self.add_spending = self._upsert(spending, lambda new: {c.name: c + new[c.name] for c in counters})
        self.insert_reservation = self._sql(insert(reservations))
        mine = delete(reservations).where(reservations.c.key_id == bindparam("a"), reservations.c.day == bindparam("b"))
        returned = (reservations.c.id, reservations.c.amount)
        self.release = self._among(mine.returning(*returned), reservations.c.id)
        late = reservations.c.expires_at <= bindparam("c")
        self.expire = self._sql(mine.where(late).returning(*returned))
        self.expired = self._sql(select(reservations.c.key_id, reservations.c.day).where(late).distinct())

    def _forgetting(self) -> None:
        some = select(decisions.c.id)
        self.decisions_before = self._sql(some.where(decisions.c.at < bindparam("a")).order_by(decisions.c.at), AT_ONCE)
        self.decisions_of_key = self._sql(some.where(decisions.c.key_id == bindparam("a")), AT_ONCE)
        self.forget = [
            self._among(delete(column.table), column)
            for column in (attempts.c.decision_id, outcomes.c.decision_id, decisions.c.id)
        ]

    def _reading(self) -> None:
        self.decision = self._sql(select(decisions).where(decisions.c.id == bindparam("a")))
        tried = select(attempts).where(attempts.c.decision_id == bindparam("a"))
        self.attempts = self._sql(tried.order_by(attempts.c.number))
        told = select(outcomes).where(outcomes.c.decision_id == bindparam("a"))
        self.outcomes = self._sql(told.order_by(outcomes.c.source))
        c = decisions.c
        answered = (c.conversation == bindparam("a"), c.closed_at >= bindparam("b"), c.target.is_not(None))
        self.kept_target = self._sql(select(c.target).where(*answered).order_by(c.closed_at.desc()), 1)

    def _keeping_keys(self) -> None:
        self.insert_key = self._sql(insert(keys))
        lives = keys.c.revoked_at.is_(None)
        self.key = self._sql(select(keys).where(keys.c.id == bindparam("a"), lives))
        self.any_key = self._sql(select(keys.c.id), 1)
        self.revoke_key = self._sql(
            update(keys).where(keys.c.id == bindparam("one"), lives).values(revoked_at=bindparam("a"))
        )
        today = (spending.c.key_id == keys.c.id) & (spending.c.day == bindparam("a"))
        every = select(keys, spending.c.spent, spending.c.reserved, spending.c.requests).select_from(
            keys.outerjoin(spending, today)
        )
        self.keys = self._sql(every.order_by(keys.c.created_at, keys.c.id))

    def _among(self, statement: Any, column: Column[Any]) -> Among:
        """A statement about the rows whose column is one of some names."""
        one = column == bindparam("one")
        return Among(self._sql(statement.where(one)), self._sql(statement.where(self._in(column))))

    def _in(self, column: Column[Any]) -> ColumnElement[bool]:
        if self._dialect.name == "sqlite":
            several = func.json_each(bindparam("several", type_=Text)).table_valued("value")
            return column.in_(select(several.c.value))
        return column == any_(bindparam("several", type_=ARRAY(Text)))

    def _upsert(self, table: Table, change: Any) -> str:
        """Insert a row; where there is one of its primary key, change that, or leave it where `change` is None."""
        new = (sqlite if self._dialect.name == "sqlite" else postgresql).insert(table)
        key = list(table.primary_key)
        if change is None:
            return self._sql(new.on_conflict_do_nothing(index_elements=key))
        return self._sql(new.on_conflict_do_update(index_elements=key, set_=change(new.excluded)))

    def _sql(self, statement: ClauseElement, most: int | None = None) -> str:
        text = str(statement.compile(dialect=self._dialect))
        return text if most is None else f"{text} LIMIT {most}"
