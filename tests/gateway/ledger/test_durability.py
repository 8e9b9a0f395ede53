"""What was acknowledged survives a kill at any moment."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from forethought.gateway.ledger import Ledger

POINTS, ALL_POINTS = 6, 200


def killed(child, url: str, seconds: float) -> Counter[str]:
    """What a process had been told is written when it was killed."""
    process = child("log", url)
    time.sleep(seconds)
    process.kill()
    said, _ = process.communicate()
    whole = said[: said.rfind("\n") + 1]
    return Counter(whole.splitlines())


async def reopened(url: str, records) -> float:
    """Seconds until a new process has written a decision."""
    started = time.monotonic()
    ledger = Ledger(url)
    await ledger.start()
    await ledger.admit(records.opening())
    seconds = time.monotonic() - started
    await ledger.close()
    return seconds


def check(url: str, said: Counter[str], query) -> None:
    """Everything acknowledged is there once, with its attempt, and nothing is there twice or in part."""
    kept = Counter(id for (id,) in query(url, "SELECT id FROM decisions"))
    closed = Counter(id for (id,) in query(url, "SELECT id FROM decisions WHERE closed_at IS NOT NULL"))
    tried = Counter(id for (id,) in query(url, "SELECT decision_id FROM attempts"))
    assert [line for line, times in said.items() if times != 1] == []
    assert {line[1:] for line in said if line[0] == "+"} <= set(kept)
    assert {line[1:] for line in said if line[0] == "."} <= set(closed)
    assert closed == tried
    assert set(kept.values()) == {1}


def survive(url: str, points: int, child, records, query) -> int:
    """Kill writers at random moments; how many acknowledgements were checked."""
    rng = random.Random(points)
    said: Counter[str] = Counter()
    for _ in range(points):
        said += killed(child, url, rng.uniform(0.0, 0.12))
        assert asyncio.run(reopened(url, records)) < 1.0
        check(url, said, query)
        [(spent,)] = query(url, "SELECT coalesce(sum(spent), 0) FROM spending WHERE key_id = 'free'")
        [(cost,)] = query(url, "SELECT coalesce(sum(cost), 0) FROM attempts")
        assert spent == cost
    return sum(said.values())


def test_nothing_acknowledged_is_lost_by_a_kill(ledger_url, child, records, query):
    acknowledged = survive(ledger_url, POINTS, child, records, query)
    assert acknowledged > 20 * POINTS


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_200_kills(ledger_url, child, records, query):
    acknowledged = survive(ledger_url, ALL_POINTS, child, records, query)
    print(f"{ALL_POINTS} kills, {acknowledged} acknowledgements: none lost, none twice")
    assert acknowledged > 20 * ALL_POINTS


def test_a_log_cut_at_any_byte_opens_and_holds_a_beginning(tmp_path, records):
    """After a loss of power the end of the log may be missing: what is left is whole and in order."""
    source = tmp_path / "ledger.sqlite"
    openings = [records.opening() for _ in range(30)]

    async def write() -> None:
        ledger = Ledger(f"sqlite:///{source}")
        await ledger.start()
        for opened in openings:
            await ledger.admit(opened)
        copy(source, tmp_path / "whole", None)  # with the log, which closing would clear away
        await ledger.close()

    asyncio.run(write())
    whole, every = tmp_path / "whole" / "ledger.sqlite", [opened.id for opened in openings]
    length = whole.with_name("ledger.sqlite-wal").stat().st_size
    cuts = sorted(random.Random(0).sample(range(length - 20 * 4120, length), 60))
    found = [held(copy(whole, tmp_path / f"cut-{cut}", cut)) for cut in cuts]
    assert all(ids == every[: len(ids)] for ids in found)
    assert [len(ids) for ids in found] == sorted(len(ids) for ids in found)
    assert 20 < len(found[0]) < len(found[-1]) < 30
    assert held(whole) == every


def copy(source: Path, folder: Path, cut: int | None) -> Path:
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{source}{suffix}", folder)
    if cut is not None:
        with (folder / "ledger.sqlite-wal").open("r+b") as log:
            log.truncate(cut)
    return folder / "ledger.sqlite"


def held(path: Path) -> list[str]:
    """Decisions in the order in which they were written, from a file that is not corrupt."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = connection.execute("SELECT id FROM decisions ORDER BY rowid").fetchall()
    connection.close()
    return [id for (id,) in found]


def test_every_commit_reaches_the_disk(sqlite_url):
    """`synchronous` is FULL (2) and the log is a WAL: a loss of power undoes nothing acknowledged."""
    from forethought.gateway.ledger.database import Database

    connection = Database(sqlite_url).connect()
    assert connection.rows("PRAGMA synchronous") == [(2,)]
    assert connection.rows("PRAGMA journal_mode") == [("wal",)]
    connection.close()
