"""Attacks on a server's port. As a script: one of them, between a line of stdin and the next, over and over.

They run in a process of their own, so that what a client beside them feels is the server's doing.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import select
import socket
import sys
import time
from collections.abc import Callable
from functools import lru_cache

PAUSE = 0.02
"""Seconds between two strikes, in which nobody is attacked."""


def head(method: str, target: str, *lines: str, host: str = "localhost") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"host: {host}", *lines, "", ""]).encode("latin-1")


def post(*lines: str, target: str = "/v1/chat/completions") -> bytes:
    return head("POST", target, "content-type: application/json", *lines)


def say(port: int, data: bytes, seconds: float = 5.0) -> bytes:
    """Send bytes, and read all that comes until the other side hangs up or nothing more comes."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
        with contextlib.suppress(OSError):
            while piece := connection.recv(65536):
                found += piece
    return found


def statuses(reply: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", reply)]


@lru_cache
def megabytes() -> bytes:
    return (b"100000\r\n" + b" " * 2**20 + b"\r\n") * 24


@lru_cache
def tiny() -> bytes:
    return b"1\r\n \r\n" * 3_000_000


@lru_cache
def bomb() -> bytes:
    return gzip.compress(b" " * 50_000_000)


@lru_cache
def deep() -> bytes:
    return b'{"model":"plain","messages":' + b"[" * 5_000_000


Attack = Callable[[int, str], list[int]]
"""Attacks a port once, with a valid key; the statuses it got."""


def gigabyte_told(port: int, key: str) -> list[int]:
    return statuses(say(port, post(f"authorization: Bearer {key}", "content-length: 1073741824") + b"{" * 100_000))


def gigabyte_in_chunks(port: int, key: str) -> list[int]:
    return statuses(say(port, post(f"authorization: Bearer {key}", "transfer-encoding: chunked") + megabytes()))


def tiny_chunks(port: int, key: str) -> list[int]:
    pieces = b"1\r\n \r\n" * 300_000
    return statuses(
        say(port, post(f"authorization: Bearer {key}", "transfer-encoding: chunked") + pieces + b"0\r\n\r\n")
    )


def slow_loris(port: int, key: str) -> list[int]:
    """200 connections that never end their heads."""
    with contextlib.ExitStack() as stack:
        open_ = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(200)]
        for number, connection in enumerate(open_):
            connection.sendall(post()[: 10 + number % 40])
        time.sleep(0.3)
        for connection in open_:
            with contextlib.suppress(OSError):
                connection.sendall(b"a")
        return [status for connection in open_ for status in statuses(_rest(connection))]


def _rest(connection: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(OSError):
        while piece := connection.recv(65536):
            found += piece
    return found


def thousand_headers(port: int, key: str) -> list[int]:
    return statuses(say(port, post(*(f"x-{i}: {i}" for i in range(1000)), "content-length: 2") + b"{}"))


def endless_head(port: int, key: str) -> list[int]:
    return statuses(say(port, b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 2**21))


def gzip_bomb(port: int, key: str) -> list[int]:
    lines = (
        f"authorization: Bearer {key}",
        "connection: close",
        "content-encoding: gzip",
        f"content-length: {len(bomb())}",
    )
    return statuses(say(port, post(*lines) + bomb()))


def pipelined(port: int, key: str) -> list[int]:
    return statuses(say(port, head("GET", "/v1/models") * 2000))


def smuggled(port: int, key: str) -> list[int]:
    inner = head("GET", "/v1/models", f"authorization: Bearer {key}")
    lines = ("content-length: 5", "transfer-encoding: chunked")
    return statuses(say(port, post(*lines) + b"0\r\n\r\n" + inner))


def deep_json(port: int, key: str) -> list[int]:
    lines = (f"authorization: Bearer {key}", f"content-length: {len(deep())}", "connection: close")
    return statuses(say(port, post(*lines) + deep()))


HUNG_UP = 0
ATTACKS: dict[Attack, set[int]] = {
    gigabyte_told: {413},
    gigabyte_in_chunks: {413},
    tiny_chunks: {400},
    slow_loris: {408, 400},
    thousand_headers: {431},
    endless_head: {431, HUNG_UP},
    gzip_bomb: {415},
    pipelined: {401, 400, HUNG_UP},
    smuggled: {400},
    deep_json: {400},
}


def main(name: str, port: int, key: str) -> None:
    """Strike from one line of stdin to the next, then tell what was got."""
    [attack] = [each for each in ATTACKS if each.__name__ == name]
    attack(port, key)  # which also makes what it sends
    print("ready", flush=True)
    while sys.stdin.readline():
        got = set[int]()
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            got.update(attack(port, key) or [HUNG_UP])
        sys.stdin.readline()
        print(json.dumps(sorted(got)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
