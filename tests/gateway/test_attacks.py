"""Attacks on a whole gateway with a healthy client beside, ways around the key, and requests that would steer it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks import ATTACKS, Attack, head, say, statuses
from gateway_child import Child, child
from provider import Provider
from running import Running

pytestmark = pytest.mark.integration

BODY = json.dumps({"model": "plain", "messages": [{"role": "user", "content": "Hi"}]}).encode()
LIMITS = {"header_seconds": 1.0, "body_seconds": 20.0}
UPSTREAM_KEY = "sk-canary-upstream-0123456789"


@pytest.fixture
def attacked(tmp_path: Path, provider: Provider, target: Any) -> Iterator[Child]:
    """A gateway in a process of its own, with short patience."""
    provider.log = False
    with child(tmp_path, target=[target("plain", provider, "ok+tokens-3")], limits=LIMITS) as started:
        yield started


class Healthy:
    """A client that asks on and on over one connection."""

    def __init__(self, gate: Child, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30)
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}

    def block(self, requests: int = 25) -> list[float]:
        """Seconds of each of so many requests, one after the other; every one is answered."""
        found = []
        for _ in range(requests):
            start = time.perf_counter()
            self._connection.request("POST", "/v1/chat/completions", BODY, self._headers)
            reply = self._connection.getresponse()
            assert reply.status == 200
            reply.read()
            found.append(time.perf_counter() - start)
        return found

    def close(self) -> None:
        self._connection.close()


class Attacker:
    """A process that attacks when it is told to."""

    def __init__(self, attack: Attack, port: int, key: str) -> None:
        script = Path(__file__).with_name("attacks.py")
        command = [sys.executable, str(script), attack.__name__, str(port), key]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def begin(self) -> None:
        self._write()

    def end(self) -> set[int]:
        """The statuses it got since `begin`."""
        self._write()
        return set(json.loads(self._read()))

    def __enter__(self) -> Attacker:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate(timeout=30)

    def _write(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@pytest.fixture
def sieged(attacked: Child) -> Iterator[tuple[Child, str, Healthy]]:
    """The gateway, a key, and a client that has warmed up."""
    key = attacked.new_key()
    healthy = Healthy(attacked, key)
    healthy.block(20)
    yield attacked, key, healthy
    healthy.close()


def median_percentiles(blocks: list[list[float]]) -> tuple[float, float]:
    """Medians over blocks of their 50th and 99th percentile: one hiccup of the machine moves neither."""
    return statistics.median(map(statistics.median, blocks)), statistics.median(map(max, blocks))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_is_refused_and_a_client_beside_it_is_served(
    sieged: tuple[Child, str, Healthy], attack: Attack
) -> None:
    gate, key, healthy = sieged
    blocks: dict[str, list[list[float]]] = {"quiet": [], "loud": []}
    got, before = set[int](), gate.rss
    with Attacker(attack, gate.port, key) as attacker:
        for _ in range(5):
            blocks["quiet"].append(healthy.block())
            attacker.begin()
            blocks["loud"].append(healthy.block())
            got |= attacker.end()
    (p50, p99), (loud50, loud99) = (median_percentiles(each) for each in blocks.values())
    grown = (gate.rss - before) / 2**20
    print(
        f"\n{attack.__name__}: {sorted(got)}; p50 {1000 * p50:.1f} ms x{loud50 / p50:.2f}, "
        f"p99 {1000 * p99:.1f} ms x{loud99 / p99:.2f}; RSS +{grown:.1f} MB"
    )
    assert got <= ATTACKS[attack]
    assert got
    assert loud50 < 4 * p50 + 0.02  # a machine that does other things as well adds some
    assert loud99 < 4 * p99 + 0.1
    assert grown < 60


PROTECTED = {
    "POST": ["chat/completions", "completions", "responses", "embeddings", "route", "feedback", "reload"],
    "GET": ["models", "models/plain", "decisions/dec-1", "csrf"],
}
PATHS = [(method, f"/v1/{path}") for method, paths in PROTECTED.items() for path in paths] + [("GET", "/metrics")]
HOSTS = [
    "a/?x=", "localhost/healthz?x=", "localhost#", "localhost@evil", "localhost:80/healthz", "127.0.0.1:80", "healthz",
    "evil.example", "[::1]", "localhost, evil", "localhost\x20/healthz", "",
]  # fmt: skip
FORGED = [
    ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-host", "localhost"), ("x-forwarded-proto", "https"),
    ("x-forwarded-prefix", "/healthz"), ("forwarded", "for=127.0.0.1;host=localhost"), ("x-real-ip", "127.0.0.1"),
    ("x-original-url", "/healthz"), ("x-rewrite-url", "/healthz"), ("x-original-uri", "/healthz"),
    ("x-http-method-override", "GET"), ("x-method-override", "OPTIONS"), ("x-api-key", "admin"),
    ("cookie", "key=admin; session=admin"), ("authorization", "Bearer"), ("authorization", "Bearer null"),
    ("authorization", "Basic YWRtaW46YWRtaW4="), ("authorization", "Bearer sk-1234"),
    ("proxy-authorization", "Bearer a"), ("authorization", "Bearer ft-aaaaaaaa-" + "a" * 43),
    ("authorization", "Bearer ' OR '1'='1"),
    ("authorization", "Bearer ft-' OR 1=1-" + "a" * 43), ("openai-organization", "admin"), ("x-forethought-csrf", "a"),
    ("origin", "http://localhost"), ("sec-fetch-site", "same-origin"), ("upgrade", "websocket"), ("upgrade", "h2c"),
]  # fmt: skip


def disguises(path: str) -> list[str]:
    """A path in other spellings."""
    bare = path.removeprefix("/")
    return [
        f"/{path}", f"//{path}", f"{path}/", f"{path}//", path.upper(), path.title(), f"/%2e{path}", f"/.{path}",
        f"/healthz/..{path}", f"/healthz/%2e%2e{path}", f"/healthz/%2e%2e%2f{bare}", f"/healthz%2f..%2f{bare}",
        f"/healthz;{path}", f"{path};/healthz", f"{path}?/healthz", f"{path}?x=/healthz", f"{path}%00", f"{path}%20",
        f"{path}%3f", f"/%252e%252e{path}", path.replace("/", "%2f"), path.replace("/", "\\"),
        f"http://localhost{path}",
        f"http://localhost/healthz/..{path}", f"http://evil.example{path}", f"http://localhost/healthz?{path}",
        f"https://localhost:1{path}", f"{path}#", f"{path}#/healthz", f"/v1{path}", path.replace("v1", "v%31"),
        f"/healthz?/../{bare}", f"/openapi.json/..{path}", f"/\u00a0{bare}",
    ]  # fmt: skip


def requests_around(method: str, path: str) -> Iterator[bytes]:
    """Everything that has ever talked a gateway into serving a path without a key."""
    body, lines = (
        (BODY, ["content-type: application/json", f"content-length: {len(BODY)}"]) if method == "POST" else (b"", [])
    )
    for host in HOSTS:
        yield head(method, path, *lines, host=host) + body
    for name, value in FORGED:
        yield head(method, path, *lines, f"{name}: {value}") + body
        rewritten = (f"x-original-url: {path}", f"x-rewrite-url: {path}", f"{name}: {value}")
        yield head(method, "/healthz", *lines, *rewritten) + body
    for disguised in disguises(path):
        yield head(method, disguised, *lines) + body
        yield head(method, disguised, *lines, host="a/?x=") + body


def open_answers(gate: Running) -> set[bytes]:
    return {gate.ask(f"//{path}").body for path in ("healthz", "readyz", "openapi.json")}


def test_no_trick_serves_a_protected_path_without_a_key(gateway: Any, provider: Provider, target: Any) -> None:
    gate = gateway(target=[target("plain", provider, "ok")])
    gate.new_key(scope="admin")
    time.sleep(1.1)  # that keys are needed from now on is noticed within a second
    harmless, seen, tried = open_answers(gate), dict[int, int](), 0
    for method, path in PATHS:
        for raw in requests_around(method, path):
            tried += 1
            reply = say(gate.port, raw.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
            [status] = statuses(reply) or [0]
            seen[status] = seen.get(status, 0) + 1
            if status == 200:  # an open path stays open, whatever else the request says, and gives nothing but its own
                assert reply.partition(b"\r\n\r\n")[2] in harmless, raw
                assert raw.split(b" ")[1].split(b"?")[0].removeprefix(b"http://localhost") == b"/healthz", raw
            else:
                assert status in (400, 401, 404, 405), (status, raw)
                assert status != 405 or b"/healthz" in raw, raw
    print(f"\n{tried} requests: {dict(sorted(seen.items()))}")
    assert provider.requests == []
    assert seen[401] > len(PATHS) * 20


def test_the_same_paths_are_served_with_a_key(gateway: Any, provider: Provider, target: Any) -> None:
    gate = gateway(target=[target("plain", provider, "ok")])
    key = gate.new_key(scope="admin")
    time.sleep(1.1)
    expected = {"/v1/feedback": 400, "/v1/decisions/dec-1": 404, "/v1/route": 200, "/v1/completions": 400}
    expected |= {"/v1/responses": 400, "/v1/embeddings": 400}
    for method, path in PATHS:
        lines = ["content-type: application/json", f"content-length: {len(BODY)}"] if method == "POST" else []
        raw = head(method, path, *lines, f"authorization: Bearer {key}", "connection: close")
        reply = say(gate.port, raw + (BODY if method == "POST" else b""))
        assert statuses(reply) == [expected.get(path, 200)], (path, reply)


class Canary:
    """A listener that nobody has any business to call."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                connection.settimeout(0.5)
                with connection, contextlib.suppress(OSError):
                    self.heard.append(b"")
                    self.heard[-1] += connection.recv(65536)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def canary() -> Iterator[Canary]:
    listening = Canary()
    yield listening
    listening.close()


STEERING = [
    "api_base", "base_url", "api_key", "api_type", "headers", "extra_headers", "extra_body", "extra_query", "proxies",
    "organization", "user_config", "model_list", "fallbacks", "custom_llm_provider", "aws_bedrock_runtime_endpoint",
    "vertex_location", "azure_endpoint", "litellm_params", "kv_transfer_params", "bootstrap_host", "provider", "route",
    "models", "chat_template", "chat_template_kwargs", "guided_regex", "guided_grammar", "regex", "ebnf",
    "logits_processors", "custom_logit_processor", "lora_path", "lora_request", "model_path", "tokenizer",
    "prompt_embeds", "media_io_kwargs", "mm_processor_kwargs", "vllm_xargs", "API_BASE", "Base_URL", "ba\u017fe_url",
]  # fmt: skip
HARMLESS = ["metadata", "user", "webhook", "callback_url", "success_callback", "store", "safety_identifier", "unknown"]
HEADERS = [
    "x-api-base", "x-base-url", "x-portkey-custom-host", "x-portkey-config", "x-portkey-provider",
    "helicone-target-url",
    "x-litellm-api-base", "x-upstream", "x-target-url", "x-forwarded-host", "x-original-url", "openai-base-url",
    "openai-organization", "openai-project", "proxy-authorization", "api-key", "x-api-key", "referer", "cookie",
    "via", "forwarded", "x-stainless-raw-response", "x-callback-url", "link", "x-model", "authorization-upstream",
]  # fmt: skip
MODEL_NAMES = [
    "../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://{canary}/v1", "{canary}/plain", "plain/../other",
    "plain@{canary}", "openai/{canary}", "plain?api_base=http://{canary}", "plain#", "forethought/../plain",
    "forethought/http://{canary}", "plain%2f..%2f..",
]  # fmt: skip
LINKS = [
    "file:///etc/passwd",
    "ftp://{canary}/a",
    "gopher://{canary}/a",
    "//{canary}/a",
    "/etc/passwd",
    "\\\\{canary}\\a",
]


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def test_nothing_a_client_says_steers_the_gateway(
    gateway: Any, provider: Provider, target: Any, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_KEY", UPSTREAM_KEY)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{canary.port}")
    gate = gateway(target=[target("plain", provider, "ok+tokens-3", api_key_env="CANARY_KEY")])
    place, url = f"127.0.0.1:{canary.port}", f"http://127.0.0.1:{canary.port}/v1"
    answers = []
    for name in STEERING:
        for value in (url, {"url": url, "Authorization": "x"}, [url], None):
            refused = gate.chat("plain", **{name: value})
            assert (refused.status, refused.json["error"]["code"]) == (400, "field_refused")
            answers.append(refused)
    assert provider.requests == []
    for name in HARMLESS:
        answers.append(gate.chat("plain", **{name: url}))
        assert answers[-1].status == 200
        assert provider.requests[-1].body[name] == url  # data, for the upstream alone
    for name in HEADERS:
        answers.append(gate.ask("/chat/completions", BODY, headers={name: url}))
        assert place not in json.dumps(provider.requests[-1].headers)
    for model in (name.format(canary=place) for name in MODEL_NAMES):
        answers.append(gate.chat(model))
        assert answers[-1].status == 404, model
    for link in (text.format(canary=place) for text in LINKS):
        parts = [{"type": "image_url", "image_url": {"url": link}}]
        answers.append(gate.ask("/chat/completions", {"model": "plain", "messages": user(parts)}))
        assert answers[-1].status == 400, link
    image = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": f"http://{place}/a.png"}}]
    answers.append(gate.ask("/chat/completions", {"model": "plain", "messages": user(image)}))
    assert answers[-1].status == 200
    assert provider.requests[-1].body["messages"][0]["content"] == image
    assert {each.headers.get("authorization") for each in provider.requests} == {f"Bearer {UPSTREAM_KEY}"}
    assert not [each for each in answers if UPSTREAM_KEY.encode() in each.body + repr(each.headers).encode()]
    assert canary.heard == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirecting_upstream_does_not_send_the_key_elsewhere(
    gateway: Any, target: Any, provider: Provider, canary: Canary, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("CANARY_KEY", UPSTREAM_KEY)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def redirect() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                where = f"location: http://127.0.0.1:{canary.port}/v1/chat/completions"
                connection.sendall(f"HTTP/1.1 {status} -\r\n{where}\r\ncontent-length: 0\r\n\r\n".encode())

        thread = threading.Thread(target=redirect)
        thread.start()
        entry = target(
            "plain", provider, api_key_env="CANARY_KEY", base_url=f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        )
        answer = gateway(target=[entry], retries={"attempts": 1}).chat("plain")
        thread.join(5)
    assert answer.status == 502
    assert "location" not in answer.headers
    assert canary.heard == []
