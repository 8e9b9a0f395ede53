from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import pytest
import uvloop

from forethought.gateway.config import Limits
from forethought.gateway.edge.body import ClientGone, read_body
from forethought.gateway.problems import Problem

QUICK = Limits(header_seconds=0.3, body_seconds=0.3, header_bytes=4096, body_bytes=1024 * 1024, connections=300)
JSON = b"content-type: application/json\r\n"


def app_under(limits: Limits, seen: list[Any] | None = None) -> Any:
    """Echoes a body's length on /echo, and lets nobody onto /protected."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        status, text = 404, b"{}"
        if scope["path"] == "/protected":
            status = 401
        elif scope["path"] == "/echo":
            try:
                body = await read_body(scope, receive, limits)
                status, text = 200, str(len(body)).encode()
            except Problem as problem:
                status, text = problem.status, problem.body
            except ClientGone:
                return
        if seen is not None:
            seen.append((scope["path"], status))
        head = [(b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": text})

    return app


def statuses(reply: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", reply)]


def post(body: bytes, more: bytes = b"connection: close\r\n") -> bytes:
    return b"POST /echo HTTP/1.1\r\nhost: a\r\n" + JSON + more + b"content-length: %d\r\n\r\n" % len(body) + body


def run(serving: Any, scenario: Any, limits: Limits = QUICK, seen: list[Any] | None = None) -> Any:
    async def main() -> Any:
        async with serving(app_under(limits, seen), limits) as port:
            return await scenario(port)

    return uvloop.run(main())


def test_a_plain_request_is_served(serving: Any, converse: Any) -> None:
    reply = run(serving, lambda port: converse(port, post(b"{}")))
    assert statuses(reply) == [200]
    assert reply.endswith(b"\r\n\r\n2")


SMUGGLED = [
    b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG",
    b"transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\nG",
    b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    b"content-length: +2\r\n\r\n{}",
    b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    b"x: a\r\n b: c\r\n\r\n",
    b"host: b\r\n\r\n",
    b"authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"transfer-encoding: chunked\r\n\r\nfffffffffffffffffff\r\n",
    b"x: a\x00b\r\n\r\n",
]


@pytest.mark.parametrize("rest", SMUGGLED)
def test_what_two_servers_could_read_differently_is_refused(serving: Any, converse: Any, rest: bytes) -> None:
    seen: list[Any] = []
    reply = run(serving, lambda port: converse(port, b"POST /echo HTTP/1.1\r\nhost: a\r\n" + JSON + rest), seen=seen)
    assert statuses(reply) == [400]
    assert "error" in json.loads(reply.partition(b"\r\n\r\n")[2])
    assert all(status == 400 for _, status in seen)


ODD_TARGETS = [
    b"//protected",
    b"/%70rotected",
    b"/x/%2e%2e/protected",
    b"/x/../protected",
    b"/protected/",
    b"/protected?x=/healthz",
    b"/protected#/healthz",
    b"/protected%00",
    b"/protected%2f",
    b"http://elsewhere/protected",
    b"http://elsewhere",
    b"*",
    b"/\xff\xfe",
    b"?protected",
    b"elsewhere:443",
    b"/" + b"%2e" * 500,
]
ODD_HOSTS = [b"a", b"a/?x=", b"a/healthz?", b"", b"a b", b"a@b", b"[::1", b"127.0.0.1:99999999", b"a\\b", b"\xff"]


@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD", b"CONNECT", b"OPTIONS", b"PRI", b"BREW"])
def test_no_spelling_of_a_path_or_host_opens_a_protected_one(serving: Any, converse: Any, method: bytes) -> None:
    seen: list[Any] = []

    async def scenario(port: int) -> list[bytes]:
        asked = [
            method + b" " + target + b" HTTP/1.1\r\nhost: " + host + b"\r\nconnection: close\r\n\r\n"
            for target in ODD_TARGETS
            for host in ODD_HOSTS[:3]
        ]
        asked += [method + b" /protected HTTP/1.1\r\nhost: " + h + b"\r\nconnection: close\r\n\r\n" for h in ODD_HOSTS]
        asked += [method + b" /protected\r\n\r\n", method + b" /protected HTTP/9.9\r\nhost: a\r\n\r\n"]
        return [await converse(port, one) for one in asked]

    replies = run(serving, scenario, seen=seen)
    told = [status for reply in replies for status in statuses(reply)]
    assert told
    assert set(told) <= {400, 401, 404}
    assert all(status == 401 for path, status in seen if path == "/protected")


def test_a_head_of_a_thousand_headers_is_refused(serving: Any, converse: Any) -> None:
    head = b"GET /echo HTTP/1.1\r\nhost: a\r\n" + b"".join(b"x%d: y\r\n" % i for i in range(1000)) + b"\r\n"
    assert statuses(run(serving, lambda port: converse(port, head), Limits())) == [431]


def test_a_head_that_is_too_long_is_refused_before_it_ends(serving: Any, converse: Any) -> None:
    pieces = [b"GET /echo HTTP/1.1\r\nhost: a\r\nx: ", *([b"a" * 512] * 16)]
    assert statuses(run(serving, lambda port: converse(port, *pieces, pause=0.005))) == [431]
    whole = b"GET /echo HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 5000 + b"\r\n\r\n"
    assert statuses(run(serving, lambda port: converse(port, whole))) == [431]


@pytest.mark.parametrize("tail", [b"2\r\n{}\r\n0\r\nx: ", b"2;x="])
def test_trailers_and_chunk_extensions_are_bounded(serving: Any, converse: Any, tail: bytes) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\n" + JSON + b"transfer-encoding: chunked\r\n\r\n"
    pieces = [head, tail, *([b"a" * 1024] * 8)]
    assert statuses(run(serving, lambda port: converse(port, *pieces, pause=0.005))) == [431]


def test_trailers_do_not_become_headers(serving: Any, converse: Any) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        scopes.append(dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 204, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body"})

    async def main() -> bytes:
        async with serving(app) as port:
            return await converse(
                port,
                b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
                b"2\r\n{}\r\n0\r\nauthorization: Bearer x\r\n\r\n",
                pause=0.02,
            )

    assert statuses(uvloop.run(main())) == [204]
    assert b"authorization" not in scopes[0]


def test_two_hundred_slow_heads_end_in_time_while_others_are_served(serving: Any, converse: Any) -> None:
    async def loris(port: int) -> tuple[list[int], float]:
        started = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for byte in b"GET /echo HTTP/1.1\r\nhost: a\r\n":
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
                if reader.at_eof():
                    break
            reply = await asyncio.wait_for(reader.read(), 3)
        except ConnectionError:
            reply = b""
        writer.close()
        return statuses(reply), time.perf_counter() - started

    async def scenario(port: int) -> Any:
        slow = [asyncio.create_task(loris(port)) for _ in range(200)]
        await asyncio.sleep(0.1)
        healthy = await converse(port, post(b"{}"))
        return healthy, await asyncio.gather(*slow)

    healthy, ended = run(serving, scenario)
    assert statuses(healthy) == [200]
    assert all(found == [408] for found, _ in ended)
    assert max(seconds for _, seconds in ended) < 2.5


@pytest.mark.parametrize("idle", [b"", b"\r\n\r\n"])
def test_a_connection_that_says_nothing_is_closed(serving: Any, converse: Any, idle: bytes) -> None:
    started = time.perf_counter()
    run(serving, lambda port: converse(port, *([idle] * 20), pause=0.02))
    assert time.perf_counter() - started < 2


def test_a_kept_connection_cannot_be_held_open_by_line_feeds(serving: Any) -> None:
    async def feed(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"\r\n")
            await asyncio.sleep(0.05)

    async def scenario(port: int) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"{}", b""))
        await reader.readuntil(b"\r\n\r\n2")
        started = time.perf_counter()
        feeding = asyncio.create_task(feed(writer))
        await asyncio.wait_for(reader.read(), 3)
        feeding.cancel()
        writer.close()
        return time.perf_counter() - started

    assert run(serving, scenario) < 1.0


def test_a_body_that_does_not_come_ends_with_408(serving: Any, converse: Any) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\n" + JSON + b"content-length: 10\r\n\r\n{"
    reply = run(serving, lambda port: converse(port, head))
    assert statuses(reply) == [408]
    assert b"request_timeout" in reply


def test_an_oversize_body_is_refused_by_its_told_length(serving: Any, converse: Any) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\n" + JSON + b"content-length: 1073741824\r\n\r\n"
    started = time.perf_counter()
    reply = run(serving, lambda port: converse(port, head + b"a" * 100_000))
    assert statuses(reply) == [413]
    assert b"body_too_long" in reply
    assert time.perf_counter() - started < 5  # the server hangs up although a gigabyte is still owed


def test_an_oversize_chunked_body_is_refused_while_it_comes(serving: Any, converse: Any) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\n" + JSON + b"transfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    assert statuses(run(serving, lambda port: converse(port, head, *([chunk] * 17)))) == [413]


def test_a_body_in_small_chunks_is_read(serving: Any, converse: Any) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\n" + JSON + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    for size, chunks in ((1, 4000), (32, 30_000)):
        data = head + (b"%x\r\n" % size + b"a" * size + b"\r\n") * chunks + b"0\r\n\r\n"
        reply = run(serving, lambda port, data=data: converse(port, data), Limits())
        assert reply.endswith(str(size * chunks).encode())


def test_a_body_in_a_million_one_byte_chunks_is_refused_early(serving: Any, converse: Any) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\n" + JSON + b"transfer-encoding: chunked\r\n\r\n"
    started = time.perf_counter()
    reply = run(serving, lambda port: converse(port, head, b"1\r\na\r\n" * 1_000_000), Limits())
    assert statuses(reply) == [400]
    assert b"too small pieces" in reply
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"content-type: application/json\r\ncontent-encoding: gzip\r\n", 415),
        (b"content-type: text/plain\r\n", 415),
        (b"", 415),
        (b"content-type: application/json; charset=latin-1\r\n", 415),
        (b"content-type: Application/JSON; charset=UTF-8\r\n", 200),
    ],
)
def test_only_plain_json_is_read(serving: Any, converse: Any, headers: bytes, status: int) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n" + headers + b"\r\n{}"
    assert statuses(run(serving, lambda port: converse(port, head))) == [status]


def test_pipelined_requests_are_answered_in_order(serving: Any, converse: Any) -> None:
    asked = b"".join(post(b"1" * n, b"" if n < 8 else b"connection: close\r\n") for n in range(1, 9))
    reply = run(serving, lambda port: converse(port, asked))
    assert statuses(reply) == [200] * 8
    assert [reply.index(b"\r\n\r\n%d" % n) for n in range(1, 9)] == sorted(
        reply.index(b"\r\n\r\n%d" % n) for n in range(1, 9)
    )


def test_a_flood_of_pipelined_requests_ends_the_connection(serving: Any, converse: Any) -> None:
    seen: list[Any] = []
    run(serving, lambda port: converse(port, post(b"{}", b"") * 500), seen=seen)
    assert 1 <= len(seen) <= 20


def test_a_pipelined_request_may_take_its_time_with_its_body(serving: Any, converse: Any) -> None:
    second = post(b"1234")
    reply = run(serving, lambda port: converse(port, post(b"12", b"") + second[:-2], second[-2:], pause=0.1))
    assert statuses(reply) == [200, 200]
    assert reply.endswith(b"\r\n\r\n4")


def test_rubbish_behind_a_request_is_never_part_of_its_answer(serving: Any, converse: Any) -> None:
    """An answer that has begun is broken off, not continued with another status line."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"data\n", "more_body": True})
            await asyncio.sleep(0.005)
        await send({"type": "http.response.body", "body": b""})

    async def main() -> bytes:
        async with serving(app) as port:
            return await converse(port, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"\x00rubbish\r\n\r\n", pause=0.05)

    reply = uvloop.run(main())
    assert statuses(reply) == [200]
    assert not reply.endswith(b"0\r\n\r\n")


def test_what_follows_an_upgrade_is_no_request(serving: Any, converse: Any) -> None:
    seen: list[Any] = []
    asked = (
        b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nGET /protected HTTP/1.1\r\n\r\n"
    )
    assert statuses(run(serving, lambda port: converse(port, asked), seen=seen)) == [415]
    assert [path for path, _ in seen] == ["/echo"]


def test_connections_beyond_the_limit_are_told_so(serving: Any, converse: Any) -> None:
    limits = QUICK.model_copy(update={"connections": 5, "header_seconds": 5.0})

    async def scenario(port: int) -> tuple[bytes, bytes]:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        await asyncio.sleep(0.02)
        refused = await converse(port, post(b"{}"))
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.05)
        return refused, await converse(port, post(b"{}"))

    refused, served = run(serving, scenario, limits)
    assert statuses(refused) == [503]
    assert b"retry-after: 1" in refused
    assert statuses(served) == [200]


def test_a_client_that_hangs_up_within_its_body_is_gone(serving: Any) -> None:
    gone: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await read_body(scope, receive, QUICK)
        except ClientGone:
            gone.append(True)

    async def main() -> None:
        async with serving(app) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\n" + JSON + b"content-length: 9\r\n\r\n{")
            await asyncio.sleep(0.05)
            writer.close()
            await asyncio.sleep(0.05)

    uvloop.run(main())
    assert gone == [True]


def test_a_client_that_does_not_read_stops_whoever_writes(serving: Any) -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"a" * 65536, "more_body": True})
            sent += 65536
            await asyncio.sleep(0)

    async def main() -> int:
        async with serving(app) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await asyncio.sleep(0.3)
            untaken = sent
            writer.transport.abort()
        return untaken

    assert 0 < uvloop.run(main()) < 32 * 2**20  # most of it lies in the system's own buffers
