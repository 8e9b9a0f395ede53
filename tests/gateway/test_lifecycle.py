"""`forethought serve` as a process: it starts or says in one line why not, reloads, and ends losing nothing."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from processes import command, serving, write_config, write_plugin
from raw_http import Heard, Wire, chat, crowd, once

from forethought.gateway.ledger import Ledger
from forethought.router import Router

pytestmark = pytest.mark.integration


@pytest.fixture
def file(tmp_path, provider, target, ledger_file):
    """Writes a gateway file of one target."""

    def write(model: str = "ok", **settings):
        ledger = f"sqlite:///{ledger_file}"
        return write_config(
            tmp_path / "gateway.toml", **{"ledger": ledger, "target": [target("plain", provider, model)], **settings}
        )

    return write


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


def answers(port: int) -> bool:
    try:
        return asyncio.run(once(port, path="/readyz")).status == 200
    except OSError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_lets_every_request_under_way_end(workers, file, ledger_file):
    """Streams of two seconds are under way; they end whole, their account is written, and the process exits with 0."""
    with serving(file("ok+tokens-20+pace-0.1"), "--workers", workers) as served:
        assert eventually(lambda: answers(served.port))

        async def main():
            wires = [await Wire.open(served.port) for _ in range(24)]
            asks = [
                asyncio.create_task(wire.ask(chat("plain", stream=i % 2 == 0, max_tokens=20)))
                for i, wire in enumerate(wires)
            ]
            await asyncio.sleep(0.7)
            served.process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            seen = await _readiness_until_refused(served.port)
            heard = await asyncio.gather(*asks)
            for wire in wires:
                await wire.close()
            return heard, seen, started

        heard, seen, started = asyncio.run(main())
        assert served.process.wait(10) == 0
        assert time.monotonic() - started <= 10
        assert [(each.status, each.ended, len(each.text.split())) for each in heard] == [(200, True, 20)] * 24
        assert sorted(seen, reverse=False) == seen  # once it says that it is not ready, it never says that it is
        assert served.children() == []
        assert "Traceback" not in "".join(served.said)
    connection = sqlite3.connect(ledger_file)
    assert connection.execute("SELECT ending, count(*) FROM decisions GROUP BY 1").fetchall() == [("ok", 24)]
    connection.close()


async def _readiness_until_refused(port: int) -> list[int]:
    """Statuses of `/readyz` on new connections until none is taken any more."""
    seen = []
    for _ in range(100):
        try:
            async with asyncio.timeout(1):
                seen.append((await once(port, path="/readyz")).status)
        except (ConnectionError, asyncio.IncompleteReadError):
            return seen
        await asyncio.sleep(0.01)
    raise AssertionError("new connections are still taken")


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_among_short_requests_answers_every_one_that_was_taken(workers, file, ledger_file):
    """Clients ask without a pause until nobody listens: whatever stands in the ledger, somebody has got."""
    heard: list[Heard] = []

    async def client(port: int) -> None:
        while (wire := await _opened(port)) is not None:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # an idle connection that was closed
                while True:
                    heard.append(await wire.ask(chat("plain")))
            await wire.close()

    async def main(served) -> None:
        clients = [asyncio.create_task(client(served.port)) for _ in range(8)]
        await asyncio.sleep(0.5)
        served.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*clients), 10)

    with serving(file(), "--workers", workers) as served:
        assert eventually(lambda: answers(served.port))
        asyncio.run(main(served))
        assert served.process.wait(10) == 0
    connection = sqlite3.connect(ledger_file)
    known = connection.execute("SELECT id, ending FROM decisions").fetchall()
    connection.close()
    assert len(heard) > 100
    assert {(each.status, each.ended) for each in heard} == {(200, True)}
    assert sorted(known) == sorted((each.decision, "ok") for each in heard)


async def _opened(port: int) -> Wire | None:
    """A connection; None where nobody listens any more."""
    try:
        return await Wire.open(port)
    except ConnectionError:
        return None


def test_while_it_drains_it_is_not_ready(gateway, provider, target):
    gate = gateway(target=[target("plain", provider)])
    assert gate.ask("//readyz").status == 200
    gate.services.draining = True
    answer = gate.ask("//readyz")
    assert (answer.status, answer.json["ready"], answer.json["parts"]["serving"]) == (503, False, False)
    assert gate.chat("plain").status == 200


def test_workers_share_a_port_and_a_ledger_and_end_together(file, ledger_file):
    with serving(file(), "--workers", 2) as served:
        assert eventually(lambda: answers(served.port))
        assert eventually(lambda: len(served.children()) == 2)
        first, second = served.children()
        assert eventually(lambda: all(_listens(pid, served.port) for pid in (first, second)))
        # With one of them stopped, what is answered is answered by the other.
        for stopped in (first, second):
            os.kill(stopped, signal.SIGSTOP)
            try:
                assert eventually(lambda: asyncio.run(_answered(served.port, 8)) > 0)
            finally:
                os.kill(stopped, signal.SIGCONT)
        heard = asyncio.run(crowd([served.port], [chat("plain")] * 60, 8))
        assert {each.status for each in heard} == {200}
        known = asyncio.run(_decisions(served.port, [each.decision for each in heard]))
        assert known == [200] * 60  # whichever of them is asked, it knows what the other decided
        code, seconds = served.stop()
        assert (code, served.children()) == (0, [])
        assert seconds < 10


async def _answered(port: int, connections: int) -> int:
    """Of so many requests on new connections, how many are answered while one worker is stopped."""

    async def one() -> bool:
        try:
            async with asyncio.timeout(0.7):
                return (await once(port, chat("plain"))).status == 200
        except TimeoutError:
            return False

    return sum(await asyncio.gather(*(one() for _ in range(connections))))


async def _decisions(port: int, ids: list[str]) -> list[int]:
    return [(await once(port, path=f"/v1/decisions/{id}")).status for id in ids]


def _listens(pid: int, port: int) -> bool:
    """Whether a process holds the listening socket of a port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{line[9]}]" for line in lines if line[3] == "0A" and line[1].endswith(f":{port:04X}")}
    held = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        try:
            held.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
        except OSError:
            continue
    return bool(held & sockets)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_worker_that_dies_takes_the_others_with_it_and_is_told(dead, file):
    with serving(file(), "--workers", 2) as served:
        assert eventually(lambda: answers(served.port) and len(served.children()) == 2)
        pid = served.children()[dead]
        os.kill(pid, signal.SIGKILL)
        assert served.process.wait(10) == 128 + signal.SIGKILL
        assert served.children() == []
        assert eventually(lambda: "stopped\n" in served.said)
    after = served.said[served.said.index("  keys      none: loopback only, no key asked for\n") + 1 :]
    assert after == [f"worker {pid} ended by SIGKILL\n", "stopping: requests under way have 30 s to end\n", "stopped\n"]


@pytest.mark.parametrize("workers", [1, 2])
def test_it_reports_once_and_only_when_it_is_ready_and_says_when_it_ends(workers, file, tmp_path):
    slow = tmp_path / "slow" / "sitecustomize.py"
    slow.parent.mkdir()
    slow.write_text(SLOW_START)
    environment = {"PYTHONPATH": str(slow.parent), "COLUMNS": "40"}
    with serving(file(), "--workers", workers, environment=environment) as served:
        assert answers(served.port)  # at once, since its URL is told
        if workers > 1:
            assert eventually(lambda: len(served.children()) == workers)
            assert eventually(lambda: all(_listens(pid, served.port) for pid in served.children()))
        served.stop()
        assert eventually(lambda: "stopped\n" in served.said)
    said = [line.rstrip("\n") for line in served.said]
    assert said[0].startswith(f"forethought serves http://127.0.0.1:{served.port}/v1 ")
    assert [line.split()[0] for line in said[1:]] == ["target", "router", "ledger", "keys", "stopping:", "stopped"]


SLOW_START = """
import time
from forethought.gateway.services import Services

start = Services.start

async def slowly(self):
    await start(self)
    time.sleep(0.3)

Services.start = slowly
"""


def test_workers_count_together(file):
    """Whoever is asked, counters are of all workers: they never go backwards, and sum to what was asked."""
    with serving(file(), "--workers", 2) as served:
        assert eventually(lambda: answers(served.port) and len(served.children()) == 2)
        assert eventually(lambda: all(_listens(pid, served.port) for pid in served.children()))
        [folder] = {Path(_environment(pid)["PROMETHEUS_MULTIPROC_DIR"]) for pid in served.children()}

        seen, asked = [], 0
        for stopped in served.children() * 3:
            with _stopped(stopped):  # what is asked now is answered by the other
                heard = asyncio.run(crowd([served.port], [chat("plain")] * 10, 2))
                counted, pid = asyncio.run(_counted(served.port))
            assert {each.status for each in heard} == {200}
            assert pid == {str(each) for each in served.children()} - {str(stopped)}
            asked += len(heard)
            seen.append(counted)
            requests = {name: count for name, count in counted.items() if name.startswith("forethought_requests_total")}
            assert requests == {'forethought_requests_total{ending="ok",path="/chat/completions",status="2xx"}': asked}
        for name in seen[-1]:
            counts = [each.get(name, 0.0) for each in seen]
            assert counts == sorted(counts), name
        assert seen[-1]["forethought_request_seconds_count"] == asked
        assert folder.is_dir()
        assert served.stop()[0] == 0
        assert not folder.exists()


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """A process that does nothing for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        assert eventually(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _counted(port: int) -> tuple[dict[str, float], set[str]]:
    """The counters of one answer of `/metrics`, and the process that it names."""
    async with asyncio.timeout(10):
        text = (await once(port, path="/metrics")).body.decode()
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    counts = {name: float(value) for name, value in samples.items() if re.search(r"_(total|count|bucket)\b", name)}
    return counts, {pid for name in samples for pid in re.findall(r'pid="(\d+)"', name)}


def _environment(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.decode().split("=", 1) for entry in entries if entry)


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_takes_up_a_changed_router(workers, file, tmp_path, fitted, provider, target):
    folder = tmp_path / "router"
    first = _save(fitted, folder, 0)
    environment = write_plugin(tmp_path / "plugins")
    targets = [target(name, provider) for name in ("north", "south")]
    with serving(file(router=str(folder), target=targets), "--workers", workers, environment=environment) as served:
        assert eventually(lambda: answers(served.port), 30)
        assert eventually(lambda: len(served.children()) == (workers if workers > 1 else 0))
        assert _artifacts(served.port) == {first}
        second = _save(fitted, folder, 1)
        served.process.send_signal(signal.SIGHUP)
        started = time.monotonic()
        assert eventually(lambda: _artifacts(served.port) == {second}, 5)
        assert time.monotonic() - started < 1.9  # before it would have looked by itself
        assert served.process.poll() is None
        assert served.stop()[0] == 0


def _save(fitted, folder, number: int) -> str:
    encoder = {"source": "planted:planted", "system": None, "dtype": "float32"}
    manifest = {**fitted.router.manifest, "encoder": encoder, "number": number}
    router = fitted.router
    return Router(router.heads, router.policy, router.prices, manifest=manifest).save(folder)


def _artifacts(port: int) -> set[str]:
    async def main() -> set[str]:
        heard = await asyncio.gather(*(once(port, chat("forethought")) for _ in range(8)))
        return {each.headers["x-forethought-artifact"] for each in heard}

    return asyncio.run(main())


def test_what_was_acknowledged_outlives_another_process_that_uses_the_ledger_and_a_kill(file, ledger_file):
    """Such as `forethought keys list` beside a gateway: it closes the ledger, which is still open elsewhere."""
    with serving(file()) as served:
        assert eventually(lambda: answers(served.port))
        heard = asyncio.run(crowd([served.port], [chat("plain")] * 20, 4))
        assert {each.headers["x-forethought-recorded"] for each in heard} == {"true"}
        asyncio.run(_use_ledger(f"sqlite:///{ledger_file}"))
        heard += asyncio.run(crowd([served.port], [chat("plain")] * 20, 4))
        assert asyncio.run(_decisions(served.port, [each.decision for each in heard])) == [200] * 40
        served.process.kill()
        served.process.wait()
    connection = sqlite3.connect(ledger_file)
    known = {id for (id,) in connection.execute("SELECT id FROM decisions WHERE ending = 'ok'")}
    connection.close()
    assert known == {each.decision for each in heard}


async def _use_ledger(url: str) -> None:
    ledger = Ledger(url)
    await ledger.start()
    await ledger.keys()
    await ledger.close()


def failure(*arguments: object) -> str:
    """What a gateway says that cannot start; checks that it says it in one line, and exits with 2."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, env={**os.environ, "COLUMNS": "300"}
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("forethought: ")]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    assert done.stderr.splitlines()[-1] == lines[0]
    return lines[0]


def test_a_port_in_use_is_told(file):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in failure(file(), "--port", port)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_with_an_unknown_key_is_told(workers, file):
    assert "rooter" in failure(file(rooter="runs/router"), "--port", 0, "--workers", workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_router_that_is_not_there_is_told(workers, file, tmp_path):
    assert "nowhere" in failure(file(router=str(tmp_path / "nowhere")), "--port", 0, "--workers", workers)


@pytest.mark.parametrize("ledger", ["nonsense", "mysql://somewhere/ledger", "sqlite:////proc/no/such/ledger.sqlite"])
def test_a_ledger_that_cannot_be_had_is_told(ledger, file):
    assert "ledger" in failure(file(ledger=ledger), "--port", 0)


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "nowhere.toml" in failure(tmp_path / "nowhere.toml", "--port", 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_beyond_loopback_without_an_admin_key_it_says_how_one_is_made_and_that_works(workers, file):
    beyond = (file(), "--host", "0.0.0.0", "--workers", workers)
    _, _, make = failure(*beyond, "--port", 0).partition("make it with ")
    words = shlex.split(make.strip().strip("`"))
    assert words[0] == "forethought"
    subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True)
    with serving(*beyond) as served:
        assert eventually(lambda: any("1 live, 1 of them admin" in line for line in served.said))
        served.stop()
