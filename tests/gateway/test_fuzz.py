"""Whatever a client sends, it gets an answer of the documented kinds, soon, and the gateway does not grow."""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from gateway_child import Child, child
from provider import Provider
from running import Running

NAMES = ("north", "south", "middling", "dear", "hopeless")
MESSAGES = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "question 7 on a river"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
PART = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
CORPUS: list[tuple[str, dict[str, Any]]] = [
    ("/chat/completions", {"model": "north", "messages": MESSAGES, "temperature": 0.5, "max_tokens": 5, "n": 1}),
    ("/chat/completions", {"model": "forethought", "messages": MESSAGES, "stream": True, "max_tokens": 5}),
    ("/chat/completions", {"model": "forethought/careful", "messages": MESSAGES, "tools": [TOOL]}),
    ("/chat/completions", {"model": "south", "messages": [{"role": "user", "content": PART}], "logprobs": True}),
    ("/completions", {"model": "north", "prompt": "x", "stream": True, "stream_options": {"include_usage": True}}),
    ("/completions", {"model": "forethought", "prompt": "question 8 on a verb", "max_tokens": 5, "best_of": 1}),
    ("/responses", {"model": "north", "input": "x", "max_output_tokens": 5, "stream": True}),
    ("/embeddings", {"model": "north", "input": ["x", "y"], "dimensions": 3}),
    ("/route", {"model": "forethought", "messages": MESSAGES}),
    ("/feedback", {"decision": "dec-x", "success": 0.5, "source": "user"}),
]
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 5.0, 0.1, -0.0, 1e308, 5e-324, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, "", " ",
    "x" * 5000, "\u0000", "\ufeff", "\u202e\u2066abc", "a\u200bb\u200d\u2060", "\ud800", "\udfff\ud800", "👩‍👩‍👧‍👦",
    "é" * 300, "e\u0301" * 300, "../../etc/passwd", "' OR 1=1 --", "${jndi:ldap://x}", "{{7*7}}", [], [None], [[]], {},
    {"": {}}, [{"role": "wizard", "content": "x"}], [{"role": "user", "content": None}], [{"role": "user"}] * 2000,
    ["x"] * 2000, {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}, list(range(3000)),
]  # fmt: skip
NUMBERS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "01", "1.", ".5", "+1", "0x10", "1" * 5000, "1e-999999"]
STATUSES = {200, 400, 401, 403, 404, 413, 415, 422, 429, 431}


def mutate(draw: random.Random) -> tuple[str, bytes]:
    """Path and body, changed in one to three ways; many are JSON no more."""
    path, seed = draw.choice(CORPUS)
    body = json.loads(json.dumps(seed))
    for _ in range(draw.randint(0, 2)):
        _change(draw, body)
    raw = json.dumps(body, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    return path, draw.choice(TEXTUAL)(draw, raw) if draw.random() < 0.7 else raw


def _change(draw: random.Random, body: dict[str, Any]) -> None:
    """Set, remove or add a field, at the top or in a message."""
    place: Any = body
    if draw.random() < 0.4 and body.get("messages") and isinstance(body["messages"], list):
        place = draw.choice(body["messages"])
    if not isinstance(place, dict):
        return
    name = draw.choice([*place, "user", "metadata", "\u0000", "Model", "n", "temperature", "regex", "tool_calls"])
    if draw.random() < 0.2:
        place.pop(name, None)
    else:
        place[name] = draw.choice(VALUES)


def _truncated(draw: random.Random, raw: bytes) -> bytes:
    return raw[: draw.randrange(len(raw))]


def _flipped(draw: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _inserted(draw: random.Random, raw: bytes) -> bytes:
    at = draw.randrange(len(raw) + 1)
    piece = draw.choice(
        [b"\x00", b"\xef\xbb\xbf", b"\xc0\xaf", b"\xed\xa0\x80", b"\xff", b"\\ud800", b"\\", b'"', b"{", b"[", b","]
    )
    return raw[:at] + piece + raw[at:]


def _twice(draw: random.Random, raw: bytes) -> bytes:
    pair = draw.choice([b'"model":"north"', b'"messages":[]', b'"stream":true', b'"m\\u006fdel":"south"', b'"n":128'])
    return b"{" + pair + b"," + raw[1:] if draw.random() < 0.5 else raw[:-1] + b"," + pair + b"}"


def _numbered(draw: random.Random, raw: bytes) -> bytes:
    name = draw.choice([b"temperature", b"n", b"max_tokens", b"seed", b"success"])
    return raw[:-1] + b',"' + name + b'":' + draw.choice(NUMBERS).encode() + b"}"


def _deep(draw: random.Random, raw: bytes) -> bytes:
    depth, (opening, closing) = draw.choice([10, 200, 1000, 100_000]), draw.choice([(b"[", b"]"), (b'{"a":', b"}")])
    end = closing * depth if draw.random() < 0.7 else b""
    return raw[:-1] + b',"deep":' + opening * depth + b"1" + end + b"}"


def _wrapped(draw: random.Random, raw: bytes) -> bytes:
    return draw.choice(
        [
            b"\xef\xbb\xbf" + raw,
            b"[" + raw + b"]",
            raw + raw,
            raw + b"\x00",
            raw.decode(errors="replace").encode("utf-16"),
            b" " * 10_000 + raw,
            b"",
        ]
    )


TEXTUAL: list[Callable[[random.Random, bytes], bytes]] = [
    _truncated, _flipped, _inserted, _twice, _numbered, _deep, _wrapped
]  # fmt: skip


@pytest.fixture
def provider_without_log(provider: Provider) -> Provider:
    """A provider that keeps no list of what it was asked."""
    provider.log = False
    return provider


@pytest.fixture
def apart(tmp_path: Path, provider_without_log: Provider, router_folder: Path, target: Any) -> Iterator[Child]:
    """A gateway in a process of its own, with the planted router."""
    targets = [target(name, provider_without_log, "ok") for name in NAMES]
    careful = {"careful": {"rule": "argmax+floor", "setting": {"floor": 0.5}}}
    with child(tmp_path, target=targets, router=router_folder, policies=careful) as started:
        yield started


class Sender:
    """One kept connection that posts bodies and times the answers."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}

    def __call__(self, path: str, raw: bytes) -> tuple[int, float, bytes]:
        """Status, seconds, body."""
        start = time.perf_counter()
        self._connection.request("POST", f"/v1{path}", raw, self._headers)
        reply = self._connection.getresponse()
        body = reply.read()
        return reply.status, time.perf_counter() - start, body

    def close(self) -> None:
        self._connection.close()


def bombard(gate: Child, key: str, seeds: range) -> list[tuple[int, float]]:
    """Send one mutated body a seed over one connection; status and seconds of each."""
    found = []
    with closing(Sender(gate.port, key)) as sender:
        for seed in seeds:
            path, raw = mutate(random.Random(seed))
            status, seconds, body = sender(path, raw)
            assert status in STATUSES, f"body {seed}: {status} {body[:300]!r} for {path} {raw[:300]!r}"
            if status != 200:
                assert json.loads(body)["error"]["message"], f"body {seed}"
            found.append((status, seconds))
    return found


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_bodies_get_a_clear_answer_soon_and_leave_nothing_behind(apart: Child, count: int) -> None:
    key = apart.new_key(scope="admin")
    bombard(apart, key, range(count, count + 100))  # what is only loaded at first use is not growth
    before, threads = apart.rss, 2
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(bombard, apart, key, range(start, count, threads)) for start in range(threads)]
        found = [each for job in jobs for each in job.result()]
    grown = (apart.rss - before) / 2**20
    refused = sorted(seconds for status, seconds in found if status != 200)
    p50, p99 = (1000 * refused[int(len(refused) * share)] for share in (0.5, 0.99))
    statuses = dict(sorted(Counter(status for status, _ in found).items()))
    print(f"\n{count} bodies: {statuses}; refusals p50 {p50:.1f} ms, p99 {p99:.1f} ms; RSS +{grown:.1f} MB")
    assert len(found) == count
    assert set(statuses) >= {200, 400}
    assert p50 < 50
    assert statistics.median(seconds for _, seconds in found) < 0.05
    assert grown < 50
    assert "Traceback" not in apart.log.read_text()


def test_the_deepest_and_the_longest_bodies_are_refused_as_quickly(apart: Child) -> None:
    sender = Sender(apart.port, apart.new_key())
    slowest = 0.0
    for raw in (
        b'{"model":"north","messages":' + b"[" * 1_000_000,
        b'{"model":"north","messages":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"}",
        b'{"model":"north","n":' + b"1" * 1_000_000 + b"}",
        b'{"model":"north","messages":[' + b'{"role":"user"},' * 50_000 + b"1]}",
        b'{"model":"north",' + b",".join(b'"model":"north"' for _ in range(50_000)) + b"}",
        b'{"model":"north","messages":[],' + b",".join(b'"\\u006f%d":1' % i for i in range(50_000)) + b"}",
    ):
        status, seconds, body = sender("/chat/completions", raw)
        slowest = max(slowest, seconds)
        assert status == 400, body[:200]
    sender.close()
    print(f"\nslowest {1000 * slowest:.0f} ms")
    assert slowest < 0.5


def test_an_integer_may_be_written_as_a_float(routed: Any, provider: Provider) -> None:
    gate = routed()
    assert gate.chat("north", max_tokens=5.0, n=1.0).status == 200
    assert gate.chat("forethought", max_tokens=5.0).json["usage"]["completion_tokens"] == 5
    assert (
        provider.requests[-1].raw.count(b'"max_tokens":5,') + provider.requests[-1].raw.count(b'"max_tokens":5}') == 1
    )
    assert gate.chat("north", max_tokens=5.5).json["error"]["param"] == "max_tokens"
    assert gate.ask("/completions", {"model": "north", "prompt": [1.0, 2]}).status == 200


# What each run excludes, and why; everything else is checked.
EXCLUDED = {
    "as served": (),
    "targets": (),
    # That a routed request needs a text to route by, and a target that can do what is asked, is a rule over several
    # fields and the configuration: a 400 that is documented, but that no JSON Schema of the body tells beforehand.
    "routed": ("positive_data_acceptance",),
}
EXAMPLES = [40, pytest.param(2000, marks=pytest.mark.slow)]


def documented(gate: Running, key: str, form: str) -> dict[str, Any]:
    """The served document; narrowed to names and decisions that exist, since at random they would never be hit."""
    document: dict[str, Any] = gate.ask("//openapi.json").json
    if form == "as served":
        return document
    models = {"targets": ["north", "dear"], "routed": ["forethought", "forethought/careful"]}[form]
    decision = gate.chat(models[0], key=key).headers["x-forethought-decision"]
    known = {"model": models, "name": models, "decision": [decision], "id": [decision]}
    for operation in (each for path in document["paths"].values() for each in path.values()):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                parameter["schema"] = {"enum": known[parameter["name"]]}
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        for name in {"model", "decision"} & set(schema.get("properties", ())):
            schema["properties"][name] = {"enum": known[name]}
    return document


@pytest.mark.integration
@pytest.mark.parametrize("form", EXCLUDED)
@pytest.mark.parametrize("examples", EXAMPLES)
def test_the_openapi_document_tells_the_truth(apart: Child, tmp_path: Path, form: str, examples: int) -> None:
    key = apart.new_key(scope="admin")
    time.sleep(1.1)
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(documented(apart, key, form)))
    root = apart.url.removesuffix("/v1")
    command = [
        Path(sys.executable).with_name("schemathesis"), "run",
        document if form != "as served" else f"{root}/openapi.json",
        "--url", root, "--header", f"Authorization: Bearer {key}", "--checks", "all", "--max-examples", str(examples),
        "--phases", "examples,coverage,fuzzing,stateful" if form == "as served" or examples > 1000 else "fuzzing",
        "--seed", "1", "--workers", "1", "--continue-on-failure", "--no-color",
        "--generation-database", "none",
    ]  # fmt: skip
    if EXCLUDED[form]:
        command += ["--exclude-checks", ",".join(EXCLUDED[form])]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=7200,
        env={**os.environ, "PYTHONPATH": ""},
    )
    report = "\n".join(line[:600] for line in done.stdout.splitlines())
    print(report[report.find("= SUMMARY") :])
    assert done.returncode == 0, report + done.stderr
    assert "Traceback" not in apart.log.read_text()
