from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from forethought.errors import UpstreamError

ROOT = Path(__file__).parents[2]
Import = Callable[[str, str], ModuleType]


@pytest.fixture
def load(module: Import) -> Callable[[str], ModuleType]:
    return lambda name: module("gateway", name)


def against_mock(load: Callable[[str], ModuleType], work: Callable[..., object]) -> object:
    """Run something against a mock in the same loop."""

    async def main() -> object:
        server = await load("mock").serve(0)
        async with server:
            return await work(load("load").Endpoint(server.sockets[0].getsockname()[1]))

    return asyncio.run(main())


def test_a_closed_loop_sends_what_it_says(load: Callable[[str], ModuleType]) -> None:
    loads, wire, mock = load("load"), load("wire"), load("mock")
    before = mock.Upstream.served
    done = against_mock(load, lambda at: loads.closed_loop(at, wire.request(wire.PLAIN, "k"), 4, 50))
    assert len(done.latencies) == mock.Upstream.served - before == 50
    assert done.rate == pytest.approx(50 / done.seconds)
    assert 0 < max(done.latencies) < done.seconds


def test_an_answer_that_is_none_ends_the_load(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, wire = load("load"), load("wire")
    monkeypatch.setattr(load("mock"), "_ANSWER", b"HTTP/1.1 429 Too Many\r\ncontent-length: 2\r\n\r\nno")
    with pytest.raises(UpstreamError, match="429 Too Many"):
        against_mock(load, lambda at: loads.closed_loop(at, wire.request(wire.PLAIN, "k"), 2, 10))


def test_streams_come_whole_and_at_their_pace(load: Callable[[str], ModuleType]) -> None:
    loads, wire = load("load"), load("wire")
    start = time.perf_counter()
    seen = against_mock(load, lambda at: loads.streams(at, wire.Pace(4, 0.05), 20, 0.1))
    assert [stream.whole for stream in seen] == [True] * 20
    assert max(stream.first for stream in seen) < 0.05 * 3 < time.perf_counter() - start


@pytest.mark.parametrize(
    "told",
    [
        lambda wire, nonce, i: wire.token_event(nonce, (0, 2, 1)[i]),
        lambda wire, nonce, i: wire.token_event(nonce + (i == 1), i),
        lambda wire, nonce, i: b"" if i == 1 else wire.token_event(nonce, i),
        lambda wire, nonce, i: wire.token_event(nonce, i) * (1 + (i == 1)),
    ],
    ids=["out of order", "another's", "lost", "twice"],
)
def test_a_stream_with_a_wrong_token_is_not_whole(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, told: Callable[..., bytes]
) -> None:
    loads, wire, mock = load("load"), load("wire"), load("mock")
    # An empty chunk would end the body; a comment stands in for the lost token.
    monkeypatch.setattr(mock, "token_event", lambda nonce, i: told(wire, nonce, i) or b": nothing\n\n")
    (seen,) = against_mock(load, lambda at: loads.streams(at, wire.Pace(3, 0.0), 1, 0.0))
    assert not seen.whole


def test_a_stream_without_its_end_is_not_whole(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, wire = load("load"), load("wire")
    monkeypatch.setattr(load("mock"), "end_of_stream", lambda usage: b": nothing\n\n")
    (seen,) = against_mock(load, lambda at: loads.streams(at, wire.Pace(3, 0.0), 1, 0.0))
    assert not seen.whole


def test_comments_and_frames_are_no_part_of_a_stream(load: Callable[[str], ModuleType]) -> None:
    loads = load("load")
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = head + b"e\r\n: cost\n\ndata: \r\n3\r\n1\n\n\r\n0\r\n\r\n"
    assert loads.ended(raw)
    assert not any(loads.ended(raw[:at]) for at in range(len(raw)))
    assert loads.split(raw) == (200, b": cost\n\ndata: 1\n\n")
    assert loads.without_comments(loads.split(raw)[1]) == b"data: 1\n\n"


def test_usage_is_told_where_it_is_asked_for(load: Callable[[str], ModuleType]) -> None:
    loads, wire = load("load"), load("wire")
    asked = [wire.request("1x0", "k", stream=True, usage=usage) for usage in (False, True)]
    plain, told = (against_mock(load, lambda at, m=message: loads.ask(at, m)) for message in asked)
    assert b'"usage"' not in plain
    assert wire.USAGE in told


def test_processor_time_is_read_from_outside(load: Callable[[str], ModuleType]) -> None:
    servers = load("servers")
    own = servers.Server(SimpleNamespace(pid=os.getpid()), load("load").Endpoint(0))
    before, start = own.cpu_seconds(), time.process_time()
    sum(range(2_000_000))
    assert own.cpu_seconds() - before == pytest.approx(time.process_time() - start, rel=0.2)
    assert 10 < own.peak_mb() < 20_000


def test_a_server_that_does_not_start_says_why(load: Callable[[str], ModuleType]) -> None:
    servers, endpoint = load("servers"), load("load").Endpoint(load("servers").free_port())
    command = [sys.executable, "-S", "-c", "raise SystemExit('no such upstream')"]
    with pytest.raises(UpstreamError, match="did not start: no such upstream"), servers.running(command, endpoint):
        pass


def rounds(made: ModuleType, **cpu: tuple[float, float]) -> dict[tuple[str, int], list[object]]:
    """Three equal rounds: processor time at 1 and at 16 connections, by server."""
    return {
        (name, connections): [made.Cost(ms, 1000.0 * connections + r, 1.0 + (name != "direct")) for r in range(3)]
        for name, values in cpu.items()
        for connections, ms in zip((1, 16, 64), (*values, values[-1]), strict=True)
    }


def test_the_worse_number_of_connections_has_the_goal(load: Callable[[str], ModuleType]) -> None:
    hop = load("hop")
    found = hop.hop_figures(rounds(hop, hop=(1.2, 0.6), bare=(0.4, 0.3), direct=(0, 0), litellm=(12.0, 9.0)))
    assert (found["hop_cpu_ms"].value, found["hop_cpu_ms"].met) == (1.2, False)
    assert (found["hop_cpu_ms_c1"].value, found["hop_cpu_ms_c16"].value) == (1.2, 0.6)
    assert (found["hop_over_bare"].value, found["hop_over_bare"].met) == (pytest.approx(3), True)
    assert (found["litellm_over_hop"].value, found["litellm_over_hop"].met) == (pytest.approx(10), True)
    assert found["rps_one_worker"].value == 64_002
    assert found["hop_added_ms"].value == 1
    assert found["hop_cpu_ms"].n == 3


def test_without_litellm_its_figures_are_left_out(load: Callable[[str], ModuleType]) -> None:
    hop = load("hop")
    found = hop.hop_figures(rounds(hop, hop=(1.2, 0.6), bare=(0.4, 0.3), direct=(0, 0)))
    assert [name for name in found if "litellm" in name] == []
    assert "hop_over_bare" in found


def test_added_time_is_of_streams_in_the_same_place(load: Callable[[str], ModuleType]) -> None:
    streaming, streamed = load("streaming"), load("load").Streamed
    direct = [streamed(0.1 * i, True) for i in range(101)]
    through = [streamed(0.1 * i + 0.01, True) for i in range(101)]
    assert streaming.added_p99(through, direct) == pytest.approx(10)
    through[50] = streamed(float("inf"), False)
    assert streaming.added_p99(through[50:51], direct[50:51]) == float("inf")


def test_litellm_that_cannot_be_had_is_left_out_in_one_line(
    load: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    peer = load("peer.litellm_proxy")
    monkeypatch.setattr(peer.sys, "executable", "/bin/false")
    with peer.litellm(tmp_path, tmp_path, 1) as server:
        assert server is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("litellm is left out: its environment could not be made")


@pytest.mark.integration
def test_quick_run_passes_every_stream_on_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forethought", "bench", "gateway", "--quick", "--json", "--cache", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert figures["streams_whole"]["value"] == 100
    assert figures["rss_mb"]["met"]
    assert 0 < figures["bare_cpu_ms_c16"]["value"] < figures["hop_cpu_ms_c16"]["value"] < 10
    assert figures["rps_one_worker"]["value"] < figures["rps_direct"]["value"]
    assert "litellm_over_hop" not in figures
    assert list(tmp_path.iterdir()) == []
