from __future__ import annotations

import asyncio
import subprocess
import sys
import time

from forethought.gateway.base import Key
from forethought.gateway.ledger import BudgetSpent, Ledger

BUDGET, PROCESSES, TASKS, REQUESTS = 100, 2, 32, 50


def test_two_processes_never_spend_a_unit_too_much(ledger_url, child, query):
    """64 tasks in two processes ask 50 times each, all at once: exactly the budget is admitted."""
    processes = [child("spend", ledger_url, TASKS, REQUESTS, BUDGET) for _ in range(PROCESSES)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    accepted = [int(process.stdout.readline()) for process in processes]
    assert sum(accepted) == BUDGET
    assert query(ledger_url, "SELECT spent, reserved, requests FROM spending") == [(BUDGET, 0, BUDGET)]
    assert query(ledger_url, "SELECT count(*) FROM decisions") == [(BUDGET,)]


def test_what_a_killed_process_held_is_given_back_once_it_has_expired(ledger_url, child, records, query):
    killed = child("hold", ledger_url, 90)
    killed.kill()
    killed.wait()
    key = Key("poor", daily_budget=100)

    async def admitted(at: float) -> bool:
        ledger = Ledger(ledger_url)
        await ledger.start()
        try:
            await ledger.admit(records.opening(key, reserve=11, at=at))
        except BudgetSpent:
            return False
        finally:
            await ledger.close()
        return True

    assert not asyncio.run(admitted(records.NOON + 3599))
    assert asyncio.run(admitted(records.NOON + 3600))
    assert query(ledger_url, "SELECT reserved FROM spending") == [(11,)]


def test_processes_that_start_together_migrate_once(ledger_url, child, query):
    processes = [child("begin", ledger_url) for _ in range(3)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(timeout=20) for process in processes] == [0, 0, 0]
    assert query(ledger_url, "SELECT version FROM schema_version") == [(1,)]
    assert query(ledger_url, "SELECT count(*) FROM decisions") == [(3,)]


def test_a_process_that_leaves_does_not_take_the_log_of_the_others(sqlite_url, tmp_path, child, records):
    """A process that connects twice keeps its locks; otherwise one that leaves would think itself the last."""
    openings = [records.opening() for _ in range(2)]
    log = tmp_path / "ledger.sqlite-wal"
    asked = "sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM decisions').fetchone()[0]"
    count = f"import sqlite3, sys; print({asked})"

    async def work() -> str:
        ledger = Ledger(sqlite_url)
        await ledger.start()
        await ledger.admit(openings[0])
        await ledger.decision(openings[0].id)
        before = log.stat().st_ino
        visitor = child("begin", sqlite_url)
        visitor.stdin.write("go\n")
        visitor.stdin.flush()
        assert visitor.wait(timeout=20) == 0
        assert log.stat().st_ino == before
        await ledger.admit(openings[1])
        seen = subprocess.check_output([sys.executable, "-c", count, tmp_path / "ledger.sqlite"], text=True)
        await ledger.close()
        return seen

    assert asyncio.run(work()) == "3\n"


def test_keys_of_several_processes_in_any_order_do_not_stop_each_other(ledger_url, records, query):
    """Two ledgers write groups over the same keys, in opposite orders: neither waits in a circle."""
    keys = [Key(f"k{i}", daily_budget=10**9 if i % 2 else None) for i in range(6)]

    async def write(ledger: Ledger, order: list[Key]) -> None:
        for _ in range(15):
            openings = [records.opening(key, reserve=1) for key in order]
            await asyncio.gather(*map(ledger.admit, openings))
            await asyncio.gather(*(ledger.settle(records.closing(opened, cost=1)) for opened in reversed(openings)))

    async def work() -> float:
        ledgers = [Ledger(ledger_url), Ledger(ledger_url)]
        for ledger in ledgers:
            await ledger.start()
        started = time.monotonic()
        await asyncio.gather(write(ledgers[0], keys), write(ledgers[1], keys[::-1]))
        seconds = time.monotonic() - started
        for ledger in ledgers:
            await ledger.close()
        return seconds

    assert asyncio.run(work()) < 5
    assert query(ledger_url, "SELECT DISTINCT spent, reserved, requests FROM spending") == [(30, 0, 30)]
