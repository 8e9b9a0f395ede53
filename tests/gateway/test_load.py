"""Many clients at once against a whole gateway: upstreams that fail, that are all down, and clients that hang up."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest
from processes import serving, write_config
from raw_http import Wire, chat, crowd

pytestmark = pytest.mark.integration

THRIFTY = {"thrifty": {"rule": "tolerance", "setting": {"tau": 1.0}}}
MODEL = "forethought/thrifty"
CHEAP = {"input": 0.5, "output": 1.0}


@pytest.fixture
def pair(gateway, provider, other_provider, router_folder, target):
    """A gateway that routes to a cheap primary first and to a fallback elsewhere."""

    def start(primary: str, fallback: str, **settings):
        targets = [target("north", provider, primary, prices=CHEAP), target("south", other_provider, fallback)]
        return gateway(target=targets, router=router_folder, policies=THRIFTY, **settings)

    return start


@pytest.fixture
def ask_ledger(ledger_file):
    def ask(query: str) -> list[tuple]:
        connection = sqlite3.connect(ledger_file)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    return ask


def bodies(count: int, **rest) -> list[dict]:
    return [chat(MODEL, f"question {i % 50} on a verb", max_tokens=64, **rest) for i in range(count)]


def requests_to(*providers) -> int:
    return sum(len(provider.requests) for provider in providers)


@pytest.mark.parametrize(
    ("requests", "together"), [(400, 16), pytest.param(2000, 32, marks=pytest.mark.slow)], ids=["400", "2000"]
)
@pytest.mark.parametrize("share", [30, 100])
def test_one_of_two_upstreams_fails_and_no_client_sees_it(
    requests, together, share, pair, provider, other_provider, ask_ledger
):
    gate = pair(f"flaky-{share}", "ok", timeouts={"first_token": 1.0}, retries={"base": 0.01}, breaker={"rest": 0.3})
    streamed = bodies(requests // 2, stream=True)
    heard = asyncio.run(crowd([gate.port], [*streamed, *bodies(requests - len(streamed))], together))
    assert Counter((each.status, each.ended, len(each.text.split())) for each in heard) == {(200, True, 60): requests}
    sent = requests_to(provider, other_provider)
    print(f"{requests} requests, {share} % of one upstream's fail: 0 seen, {sent / requests:.3f} attempts each")
    assert requests <= sent <= 1.5 * requests
    assert len({each.decision for each in heard}) == requests
    assert ask_ledger("SELECT count(*), count(DISTINCT decision_id) FROM attempts") == [(sent, requests)]
    billed = "SELECT count(*) FROM attempts WHERE cost > 0 GROUP BY decision_id"
    assert ask_ledger(billed) == [(1,)] * requests
    assert ask_ledger("SELECT ending, count(*) FROM decisions GROUP BY ending") == [("ok", requests)]


@pytest.mark.parametrize("requests", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_where_all_are_down_everybody_hears_so_in_time(requests, pair, provider, other_provider, ask_ledger):
    gate = pair("status-503", "reset", breaker={"rest": 30})
    heard = asyncio.run(crowd([gate.port], bodies(requests), 16))
    assert Counter((each.status, each.whole, each.error["code"]) for each in heard) == {
        (503, True, "upstream_unavailable"): requests
    }
    assert all(int(each.headers["retry-after"]) >= 1 for each in heard)
    print(f"{requests} requests, all down: {requests_to(provider, other_provider) / requests:.3f} attempts each")
    assert max(each.seconds for each in heard) < 2
    assert requests_to(provider, other_provider) <= 1.2 * requests
    assert ask_ledger("SELECT count(*) FROM attempts") == [(requests_to(provider, other_provider),)]
    assert ask_ledger("SELECT ending, status, cost FROM decisions GROUP BY 1, 2, 3") == [("failed", 503, 0)]


@pytest.mark.parametrize("streams", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_where_half_of_the_clients_hang_up_nothing_of_theirs_is_left(streams, pair, provider, ask_ledger):
    gate = pair("ok+tokens-12+pace-0.15", "ok", timeouts={"first_token": 20, "stall": 20})
    key = gate.new_key(daily_budget=10**12)
    gate.ask("/chat/completions", chat(MODEL, max_tokens=12), key=key)
    tasks, files = gate.do(_tasks()), _files(provider)

    left: dict[str, float] = {}

    async def client(wire: Wire, text: str, leaves: bool) -> None:
        await wire.send(chat(MODEL, text, stream=True, max_tokens=12), key=key)
        heard = await wire.head()
        if leaves:
            await wire.piece(heard)
            wire.abort()
            left[text] = time.monotonic()
            return
        await wire.read(heard)
        assert heard.ended
        assert len(heard.text.split()) == 12
        await wire.close()

    async def main() -> None:
        wires = await asyncio.gather(*(Wire.open(gate.port) for _ in range(streams)))
        await asyncio.gather(*(client(wire, f"question {i}", i % 2 == 0) for i, wire in enumerate(wires)))

    def gone() -> dict[str, float]:
        return {each.body["messages"][-1]["content"]: each.hung_up for each in provider.requests if each.hung_up}

    asyncio.run(main())
    assert provider.wait_until(lambda: gone().keys() == left.keys())
    assert len(left) == streams // 2
    slowest = max(at - left[text] for text, at in gone().items())
    print(f"{len(left)} of {streams} clients hung up: their upstreams heard it within {slowest:.3f} s")
    assert slowest <= 1.0
    assert provider.wait_until(lambda: gate.do(_tasks()) <= tasks, 3)
    assert provider.wait_until(lambda: _files(provider) <= files, 3)
    ended = "SELECT ending, count(*) FROM decisions GROUP BY ending ORDER BY ending"
    assert ask_ledger(ended) == [("cancelled", streams // 2), ("ok", streams // 2 + 1)]
    assert ask_ledger("SELECT reserved FROM spending") == [(0,)]
    assert ask_ledger("SELECT count(*) FROM reservations") == [(0,)]
    assert ask_ledger("SELECT count(DISTINCT decision_id) FROM attempts") == [(streams + 1,)]


@pytest.mark.parametrize("streams", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_clients_that_hang_up_leave_no_memory_and_no_descriptor_behind(
    streams, provider, target, tmp_path, ledger_file
):
    """A gateway in a process of its own, after one such storm and after another."""
    settings = {"ledger": f"sqlite:///{ledger_file}", "target": [target("plain", provider, "ok+tokens-8+pace-0.1")]}

    async def client(port: int, leaves: bool) -> None:
        wire = await Wire.open(port)
        await wire.send(chat("plain", stream=True))
        heard = await wire.head()
        if leaves:
            await wire.piece(heard)
            wire.abort()
            return
        await wire.read(heard)
        assert heard.ended
        await wire.close()

    async def storm(port: int) -> None:
        await asyncio.gather(*(client(port, i % 2 == 0) for i in range(streams)))

    with serving(write_config(tmp_path / "gateway.toml", **settings)) as served:
        assert provider.wait_until(lambda: _answers(served.port), 20)
        seen = []
        for _ in range(3):
            asyncio.run(storm(served.port))
            assert provider.wait_until(lambda: provider.open <= streams // 2, 5)
            time.sleep(0.3)
            seen.append((_megabytes(served.process.pid), _descriptors(served.process.pid) - provider.open))
    (_, files), (megabytes, _), (later, files_later) = seen
    print(
        f"{streams} streams, half hang up: memory grew by {later - megabytes:.1f} MB, descriptors {files_later - files}"
    )
    assert later - megabytes < 5
    assert files_later <= files + 4  # the ledger's two readers connect when they are first needed


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _megabytes(pid: int) -> float:
    """Resident memory."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


async def _tasks() -> int:
    return len(asyncio.all_tasks())


def _files(provider) -> int:
    """Open descriptors but for connections that are kept for the next request, whose two ends are in this process."""
    return len(os.listdir("/proc/self/fd")) - 2 * provider.open
