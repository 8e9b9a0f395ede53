"""The first tables. Never edited: what a later version needs is a later migration."""

from __future__ import annotations

STATEMENTS = (
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY NOT NULL,
        digest {blob} NOT NULL,
        name TEXT NOT NULL,
        scope TEXT NOT NULL,
        daily_budget BIGINT,
        requests_per_second DOUBLE PRECISION,
        dear_share DOUBLE PRECISION,
        created_at DOUBLE PRECISION NOT NULL,
        revoked_at DOUBLE PRECISION
    )
    """,
    """
    CREATE TABLE spending (
        key_id TEXT NOT NULL,
        day TEXT NOT NULL,
        spent BIGINT NOT NULL,
        reserved BIGINT NOT NULL,
        requests BIGINT NOT NULL,
        dear BIGINT NOT NULL,
        PRIMARY KEY (key_id, day)
    ) {clustered}
    """,
    """
    CREATE TABLE reservations (
        key_id TEXT NOT NULL,
        day TEXT NOT NULL,
        id TEXT NOT NULL,
        amount BIGINT NOT NULL,
        expires_at DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (key_id, day, id)
    ) {clustered}
    """,
    """
    CREATE TABLE decisions (
        id TEXT PRIMARY KEY NOT NULL,
        at DOUBLE PRECISION NOT NULL,
        key_id TEXT NOT NULL,
        path TEXT NOT NULL,
        model TEXT NOT NULL,
        stream BOOLEAN NOT NULL,
        dear BOOLEAN NOT NULL,
        targets TEXT NOT NULL,
        conversation TEXT,
        note TEXT NOT NULL,
        rule TEXT,
        setting TEXT,
        reason TEXT,
        artifact TEXT,
        chosen TEXT,
        predictions TEXT,
        read BIGINT,
        "of" BIGINT,
        encoder_tokens BIGINT,
        logits {blob},
        projection {blob},
        text TEXT,
        closed_at DOUBLE PRECISION,
        ending TEXT,
        status INTEGER,
        target TEXT,
        seconds DOUBLE PRECISION,
        cost BIGINT
    )
    """,
    "CREATE INDEX decisions_at ON decisions (at)",
    "CREATE INDEX decisions_key_id ON decisions (key_id)",
    "CREATE INDEX decisions_conversation ON decisions (conversation) WHERE conversation IS NOT NULL",
    """
    CREATE TABLE attempts (
        decision_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        target TEXT NOT NULL,
        status INTEGER,
        input_tokens BIGINT NOT NULL,
        cached_tokens BIGINT NOT NULL,
        output_tokens BIGINT NOT NULL,
        cost BIGINT NOT NULL,
        seconds DOUBLE PRECISION NOT NULL,
        first_seconds DOUBLE PRECISION,
        error TEXT NOT NULL,
        estimated BOOLEAN NOT NULL,
        PRIMARY KEY (decision_id, number)
    ) {clustered}
    """,
    """
    CREATE TABLE outcomes (
        decision_id TEXT NOT NULL,
        source TEXT NOT NULL,
        success DOUBLE PRECISION NOT NULL,
        at DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (decision_id, source)
    ) {clustered}
    """,
)
