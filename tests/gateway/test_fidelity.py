"""A request that names its target comes back byte for byte as its provider answered it."""

from __future__ import annotations

import http.client
import json
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from provider import Answer, Provider
from running import Running

REQUESTS = 500
CONNECTIONS = 8
PATHS = ("/chat/completions", "/completions", "/responses", "/embeddings")
MODELS = ("ok", "ok+tokens-1", "ok+tokens-400", "no-usage", "status-400", "status-404", "status-422", "status-500",
          "content-filter", "context-length", "quota")  # fmt: skip
WEIGHTS = (8, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
UNKNOWN = [
    "x",
    1,
    1.5,
    1e-7,
    -0.0,
    12345678901234567890,
    True,
    None,
    [],
    {},
    [1, [2, {"a": None}]],
    {"é": "\u200b🦉"},
    "\\/",
]
TEXTS = ["Hi", "", " ", "naïve 東京 🦉", "\u202eright to left", 'quotes " and \\', "line\nbreak\ttab", "w " * 300]


@pytest.fixture
def echoing(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The provider, adding what it was asked under `unknown` to all it says: fields that no gateway knows."""
    head, response, embeddings = Answer._head, Answer._response, Answer._embeddings

    def more(made: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def wrapped(self: Answer, *given: Any) -> dict[str, Any]:
            return {**made(self, *given), "unknown": self.body.get("unknown"), "x_😀": [self.received.path]}

        return wrapped

    monkeypatch.setattr(Answer, "_head", more(head))
    monkeypatch.setattr(Answer, "_response", more(response))
    monkeypatch.setattr(Answer, "_embeddings", more(embeddings))
    return provider


def random_request(seed: int) -> tuple[str, bytes]:
    """Path and body, written in one of several manners of JSON."""
    draw = random.Random(seed)
    path = draw.choice(PATHS)
    body: dict[str, Any] = {"model": draw.choices(MODELS, WEIGHTS)[0]}
    if path == "/chat/completions":
        turns = [{"role": draw.choice(["system", "user", "assistant"]), "content": draw.choice(TEXTS)}] * draw.randint(
            0, 3
        )
        body["messages"] = [*turns, {"role": "user", "content": draw.choice(TEXTS)}]
    else:
        text = draw.choice(TEXTS)
        body["prompt" if path == "/completions" else "input"] = (
            text if draw.random() < 0.7 or path == "/responses" else [text] * 2
        )
    optional: dict[str, Any] = {
        "unknown": draw.choice(UNKNOWN),
        "temperature": draw.random() * 2,
        "user": "u",
        "seed": 1,
    }
    if path != "/embeddings":
        optional["stream"] = draw.random() < 0.7
    if path in PATHS[:2]:
        optional |= {
            "n": draw.randint(1, 3),
            "max_tokens": draw.randint(1, 80),
            "stream_options": {"include_usage": True},
        }
        optional["logprobs"] = True if path == PATHS[0] else 2
    if path == PATHS[0]:
        optional |= {"tools": [TOOL], "response_format": {"type": "json_object"}}
    body |= {name: value for name, value in optional.items() if draw.random() < 0.5}
    items = list(body.items())
    draw.shuffle(items)
    indent, ascii_only = draw.choice([None, 1]), draw.random() < 0.5
    return path, json.dumps(dict(items), indent=indent, ensure_ascii=ascii_only).encode()


class Asker:
    """One kept connection."""

    def __init__(self, url: str) -> None:
        self._base = urlsplit(url).path
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)

    def __call__(self, path: str, raw: bytes) -> tuple[int, str | None, bytes]:
        """Status, content type and body."""
        self._connection.request("POST", self._base + path, raw, {"content-type": "application/json"})
        reply = self._connection.getresponse()
        return reply.status, reply.headers["content-type"], reply.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def gate(gateway: Any, echoing: Provider, target: Any) -> Running:
    """A gateway whose targets are called what the provider calls their models."""
    targets = [target(name, echoing, name) for name in MODELS]
    return gateway(target=targets, retries={"attempts": 1}, breaker={"failures": 100_000})


def compare(first: str, second: str, rename: Callable[[bytes], bytes], count: int) -> Counter[str]:
    """Ask two servers the same, over several connections; how many of which kind were asked."""

    def ask(seeds: range) -> Counter[str]:
        askers, seen = (Asker(first), Asker(second)), Counter[str]()
        for seed in seeds:
            path, raw = random_request(seed)
            expected, found = askers[0](path, raw), askers[1](path, rename(raw))
            assert found == expected, f"request {seed}: {path} {raw[:300]!r}"
            seen[f"{path} {found[0]} {'stream' if 'event-stream' in (found[1] or '') else 'whole'}"] += 1
        [asker.close() for asker in askers]
        return seen

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(ask, (range(start, count, CONNECTIONS) for start in range(CONNECTIONS))), Counter[str]())


def test_the_provider_answers_equal_requests_equally(echoing: Provider) -> None:
    assert compare(echoing.url, echoing.url, bytes, 64).total() == 64


def test_answers_pass_through_byte_for_byte(gate: Running, echoing: Provider) -> None:
    seen = compare(echoing.url, gate.url, bytes, REQUESTS)
    print("\n" + "\n".join(f"{count:4} {kind}" for kind, count in sorted(seen.items())))
    assert seen.total() == REQUESTS
    assert {path for path in PATHS if seen[f"{path} 200 stream"] > 20} == set(PATHS[:3])
    assert {path for path in PATHS if seen[f"{path} 200 whole"] > 20} == set(PATHS)
    assert {kind.split()[1] for kind in seen} >= {"200", "400", "404", "422", "429", "500"}


def test_requests_pass_through_byte_for_byte(gate: Running, echoing: Provider) -> None:
    asker = Asker(gate.url)
    for seed in range(20):
        path, raw = random_request(seed)
        asker(path, raw)
        assert echoing.requests[-1].raw == raw
    asker.close()


def test_another_name_changes_nothing_but_the_name(gateway: Any, echoing: Provider, target: Any) -> None:
    targets = [target(f"our-{name}", echoing, name) for name in MODELS]
    gate = gateway(target=targets, retries={"attempts": 1}, breaker={"failures": 100_000})

    def renamed(raw: bytes) -> bytes:
        body = json.loads(raw)
        return json.dumps({**body, "model": f"our-{body['model']}"}).encode()

    assert compare(echoing.url, gate.url, renamed, 104).total() == 104
