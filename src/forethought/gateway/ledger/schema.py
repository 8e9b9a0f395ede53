"""The ledger's tables as they are now; `migrations` tells how they came to be.

Money is integer nanodollars, times are Unix times, days are UTC as `YYYY-MM-DD`. Lists and mappings are JSON in text
columns, vectors are little-endian float32. Nothing refers to another table by a foreign key: rows of one decision are
deleted together, and a reservation outlives a decision that was deleted while it was being served.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))
"""One row for each migration that was applied."""

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("daily_budget", BigInteger),
    Column("requests_per_second", Double),
    Column("dear_share", Double),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
)
"""Who may ask; `digest` is the SHA-256 of the key's secret."""

spending = Table(
    "spending",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("spent", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("dear", BigInteger, nullable=False),
)
"""What a key has spent and may still have to spend in a day, its requests, and how many went to dear targets."""

reservations = Table(
    "reservations",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
)
"""Money held for requests under way; `id` is the decision's."""

decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("dear", Boolean, nullable=False),
    Column("targets", Text, nullable=False),
    Column("conversation", Text),
    Column("note", Text, nullable=False),
    Column("rule", Text),
    Column("setting", Text),
    Column("reason", Text),
    Column("artifact", Text),
    Column("chosen", Text),
    Column("predictions", Text),
    Column("read", BigInteger),
    Column("of", BigInteger),
    Column("encoder_tokens", BigInteger),
    Column("logits", LargeBinary),
    Column("projection", LargeBinary),
    Column("text", Text),
    Column("closed_at", Double),
    Column("ending", Text),
    Column("status", Integer),
    Column("target", Text),
    Column("seconds", Double),
    Column("cost", BigInteger),
    Index("decisions_at", "at"),
    Index("decisions_key_id", "key_id"),
)
_talks = decisions.c.conversation.is_not(None)
Index("decisions_conversation", decisions.c.conversation, sqlite_where=_talks, postgresql_where=_talks)
"""What was decided, and from `closed_at` on how the request ended; `rule` to `predictions` are the router's."""

attempts = Table(
    "attempts",
    metadata,
    Column("decision_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("target", Text, nullable=False),
    Column("status", Integer),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("first_seconds", Double),
    Column("error", Text, nullable=False),
    Column("estimated", Boolean, nullable=False),
)
"""Every request to an upstream, in the order in which they ended."""

outcomes = Table(
    "outcomes",
    metadata,
    Column("decision_id", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("success", Double, nullable=False),
    Column("at", Double, nullable=False),
)
"""What came of decisions, one row for each source."""
