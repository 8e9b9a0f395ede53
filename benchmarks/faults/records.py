"""What a SQLite ledger holds, read beside the gateway that writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path


def visit(path: Path) -> None:
    """Open a ledger that is in use, to write, and close it again: whoever closes last removes the write-ahead log."""
    database = sqlite3.connect(path)
    database.execute("SELECT count(*) FROM keys").fetchone()
    database.close()


def problems_of(path: Path, acknowledged: Iterable[str], cost: int) -> dict[str, int]:
    """How many acknowledged decisions are missing or doubled, and whether the file is sound.

    Args:
        path: The database.
        acknowledged: Decisions whose answers reached their clients whole; each had one upstream.
        cost: Of one answer, nanodollars.

    Returns:
        `lost`: not there, not closed as answered, or not charged as they were. `twice`: more than one attempt, and
        charges of the key beyond those of its decisions. `damaged`: 1 where SQLite finds a fault in the file.
    """
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        closed = dict(database.execute("SELECT id, cost FROM decisions WHERE ending = 'ok'").fetchall())
        tried = dict(database.execute("SELECT decision_id, count(*) FROM attempts GROUP BY decision_id").fetchall())
        (all_costs,) = database.execute("SELECT coalesce(sum(cost), 0) FROM decisions").fetchone()
        (spent,) = database.execute("SELECT coalesce(sum(spent), 0) FROM spending").fetchone()
        (sound,) = database.execute("PRAGMA integrity_check").fetchone()
    database.close()
    ids = set(acknowledged)
    return {
        "lost": sum(closed.get(id) != cost for id in ids),
        "twice": sum(tried.get(id, 0) > 1 for id in ids) + abs(spent - all_costs) // cost,
        "damaged": int(sound != "ok"),
    }
