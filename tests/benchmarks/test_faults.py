from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from forethought.gateway.base import Attempt, Key, Plan
from forethought.gateway.ledger import Ledger
from forethought.gateway.ledger.records import Closing, Opening

ROOT = Path(__file__).parents[2]
Import = Callable[[str, str], ModuleType]
COST = 1_000_000


@pytest.fixture
def load(module: Import, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Modules of the benchmark, whose path its script extends by the servers' and the faults' folders."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "gateway"))
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "gateway"))
    return lambda name: module("faults", name)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Decision a, b and c of one key: answered, under way, answered."""
    path, key = tmp_path / "ledger.sqlite", Key("k", daily_budget=10 * COST)

    async def write() -> None:
        book = Ledger(f"sqlite:///{path}")
        await book.start()
        await book.create_key(key, b"digest")
        for id in "abc":
            opening = Opening(id, 1e9, key, "/chat/completions", "mock", False, Plan(("mock",)), reserve=COST)
            await book.admit(opening)
            day = opening.day
            if id != "b":
                tried = (Attempt("mock", 200, 11, 0, 1, COST),)
                await book.settle(Closing(id, 1e9, key, "ok", 200, "mock", tried, 0.1, day))
        await book.close()

    asyncio.run(write())
    return path


def test_a_decision_is_lost_unless_it_stands_as_answered_and_charged(
    load: Callable[[str], ModuleType], ledger: Path
) -> None:
    problems_of = load("records").problems_of
    assert problems_of(ledger, ["a", "c"], COST) == {"lost": 0, "twice": 0, "damaged": 0}
    assert problems_of(ledger, ["a", "b", "never"], COST)["lost"] == 2
    assert problems_of(ledger, ["a", "c"], COST + 1)["lost"] == 2


@pytest.mark.parametrize(
    "change",
    [
        f"INSERT INTO attempts VALUES ('a', 1, 'mock', 200, 11, 0, 1, {COST}, 0.1, 0.1, '', 0)",
        f"UPDATE spending SET spent = spent + {COST}",
    ],
    ids=["attempt", "charge"],
)
def test_what_is_recorded_twice_is_seen(load: Callable[[str], ModuleType], ledger: Path, change: str) -> None:
    database = sqlite3.connect(ledger)
    database.execute(change)
    database.commit()
    database.close()
    assert load("records").problems_of(ledger, ["a", "c"], COST)["twice"] == 1


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("raw", "whole"),
    [
        (PLAIN, True),
        (PLAIN[:-1], False),
        (PLAIN.replace(b"200", b"503"), False),
        (CHUNKED + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n", True),
        (CHUNKED + b"e\r\ndata: [DONE]\n\n\r\n", False),
        (CHUNKED + b"9\r\ndata: 1\n\n\r\n0\r\n\r\n", False),
        (b"", False),
    ],
)
def test_only_a_whole_answer_acknowledges(load: Callable[[str], ModuleType], raw: bytes, whole: bool) -> None:
    assert load("durability").acknowledges(raw) is whole


def test_the_planted_router_asks_the_primary_first(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    from forethought.core import Question
    from forethought.router import Router

    planted = load("planted")
    planted.save_router(tmp_path / "router")
    saved = Router.load(tmp_path / "router")
    blocks = saved.heads.features.encode(planted.SteadyEncoder(), [Question.ask("hello", id="q")])
    assert saved.decide(blocks, 10.0).target == "primary"
    assert saved.decide(blocks, 10.0, allowed=["fallback"]).target == "fallback"


@pytest.mark.parametrize(
    ("behaviour", "stream", "status", "done", "failed", "tokens"),
    [
        ("ok", False, 200, True, False, 60),
        ("ok", True, 200, True, False, 60),
        ("cut-40", True, 200, False, True, 40),
        ("error-20", True, 200, False, True, 20),
        ("cut-40", False, 200, False, True, 0),
        ("content-filter", False, 400, False, False, 0),
    ],
)
def test_the_client_sees_what_a_client_sees(
    load: Callable[[str], ModuleType],
    behaviour: str,
    stream: bool,
    status: int,
    done: bool,
    failed: bool,
    tokens: int,
) -> None:
    client = load("http_client")
    import provider

    body = {"model": behaviour, "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    with provider.running() as running:
        port = int(running.url.split(":")[2].removesuffix("/v1"))
        answer = client.chat(client.Endpoint(port), body)
    assert (answer.status, answer.done, answer.failed, len(answer.text.split())) == (status, done, failed, tokens)
    assert answer.error.get("code") == ("content_filter" if status == 400 else None)


def test_a_gateway_without_budgets_overruns(load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    race = load("race")
    monkeypatch.setattr(race, "create_key", lambda ledger, name, budget: "k")
    monkeypatch.setattr(race, "EACH", 2)
    with race.mock() as upstream:
        answered, billed = race._race("", upstream, [upstream, upstream], 1)
    assert answered == billed == 2 * race.CLIENTS
    assert billed > race.AFFORDED


@pytest.mark.integration
def test_quick_run_survives_every_fault(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forethought", "bench", "faults", "--quick", "--json", "--cache", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert [name for name, figure in figures.items() if figure["met"] is False] == [], done.stderr
    assert figures["faults_passed"]["value"] == 16
    assert figures["acknowledged_lost"]["n"] > 50
    assert figures["budget_answered"]["value"] == 100
