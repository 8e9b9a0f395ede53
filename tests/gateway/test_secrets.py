"""Whatever secret passes through a gateway, none of it is found in what the gateway leaves behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gateway_child import Child, child
from provider import Answer as ProviderAnswer
from provider import Provider
from running import Answer

pytestmark = pytest.mark.integration

CHAT = "/chat/completions"
TARGETS = {
    "plain": "ok+tokens-3",
    "cut": "cut-2",
    "refusing": "status-400",
    "failing": "status-500",
    "denying": "status-401",
    "broken": "malformed-1",
    "routed-dear": "ok",
}


@dataclass
class Canaries:
    """Texts that occur nowhere by themselves, by what they stand for."""

    texts: dict[str, str] = field(default_factory=dict)

    def __call__(self, kind: str) -> str:
        return self.texts.setdefault(kind, f"canary{secrets.token_hex(8)}")

    def found_in(self, data: bytes, but: tuple[str, ...] = ()) -> list[str]:
        """The kinds of those that stand in some bytes."""
        return [kind for kind, text in self.texts.items() if kind not in but and text.encode() in data]


@dataclass
class Scene:
    """A gateway whose every client leaks, and what it answered."""

    gate: Child
    canaries: Canaries
    key: str
    admin: str
    answers: list[tuple[str, Answer]] = field(default_factory=list)

    def ask(
        self, kind: str, path: str, body: Any, headers: Mapping[str, str] | None = None, key: str | None = None
    ) -> Answer:
        answer = self.gate.ask(path, body, key=key or self.key, headers=headers)
        self.answers.append((kind, answer))
        return answer

    def left_behind(self) -> dict[str, bytes]:
        """Everything that can be read afterwards by somebody else than the client."""
        folder = self.gate.log.parent
        found = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "gateway.json"}
        found["metrics"] = self.gate.ask("//metrics", key=self.admin).body
        found["models"] = self.gate.ask("/models", key=self.admin).body
        found["openapi"] = self.gate.ask("//openapi.json").body
        return found


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def tattling(provider: Provider, canaries: Canaries, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """A provider whose errors repeat the prompt and the key that it was sent, and say something of their own."""
    plain = ProviderAnswer._status

    def telling(self: ProviderAnswer) -> bytes:
        head, _, body = plain(self).partition(b"\r\n\r\n")
        sent = {"sent": self.received.raw.decode(), "headers": self.received.headers, "own": canaries("upstream error")}
        body = json.dumps({"error": {**json.loads(body)["error"], "message": json.dumps(sent)}}).encode()
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        return b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])

    monkeypatch.setattr(ProviderAnswer, "_status", telling)
    return provider


@pytest.fixture
def start(tmp_path: Path, tattling: Provider, canaries: Canaries, router_folder: Path, target: Any) -> Iterator[Any]:
    """Starts the gateway in a process of its own, its upstream key in its environment."""
    with contextlib.ExitStack() as stack:

        def begin(**settings: Any) -> Scene:
            named = [target(name, tattling, model, api_key_env="UPSTREAM_KEY") for name, model in TARGETS.items()]
            planted = ("north", "south", "middling", "dear", "hopeless")
            routed = [target(name, tattling, "ok+tokens-3", api_key_env="UPSTREAM_KEY") for name in planted]
            environment = {"UPSTREAM_KEY": f"sk-{canaries('upstream key')}", "UNUSED_SECRET": canaries("environment")}
            gate = stack.enter_context(
                child(tmp_path, environment, target=[*named, *routed], router=router_folder, **settings)
            )
            scene = Scene(gate, canaries, gate.new_key(), gate.new_key(scope="admin"))
            for kind, text in (("gateway key", scene.key), ("admin key", scene.admin)):
                canaries.texts[kind] = text.split("-", 2)[2]  # the id in front is no secret
            return scene

        yield begin


def leaking(canaries: Canaries) -> dict[str, Any]:
    """A body with a secret in every part that has room for one."""
    return {
        "messages": [
            {"role": "system", "content": f"system {canaries('system prompt')}"},
            {"role": "user", "content": f"first {canaries('earlier prompt')}", "name": canaries("name")},
            {
                "role": "assistant",
                "content": f"said {canaries('earlier answer')}",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": canaries("tool arguments")},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": canaries("tool result")},
            {"role": "user", "content": f"question {canaries('prompt')}"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": canaries("tool description")}}],
        "metadata": {"secret": canaries("metadata")},
        "user": canaries("user"),
        "safety_identifier": canaries("safety identifier"),
        "stop": [canaries("stop")],
        canaries("field name"): canaries("field value"),
    }


def headers(canaries: Canaries) -> dict[str, str]:
    return {
        "cookie": f"session={canaries('cookie')}",
        "referer": "http://127.0.0.1",
        "x-api-key": canaries("api-key header"),
        "user-agent": canaries("user agent"),
        "x-forethought-conversation": canaries("conversation"),
        "x-request-id": canaries("request id"),
        "idempotency-key": canaries("idempotency key"),
        f"x-{canaries('header name')}": canaries("header value"),
        "x-forwarded-for": canaries("forwarded for"),
        "openai-organization": canaries("organization"),
    }


def leak(scene: Scene) -> None:
    """Good requests and bad ones, whole and streamed, each full of secrets."""
    canaries = scene.canaries
    body, head = leaking(canaries), headers(canaries)
    del head["referer"]
    for model in (*TARGETS, "forethought", "forethought/argmax", "forethought/nobody", canaries("model name")):
        for stream in (False, True):
            with contextlib.suppress(OSError, http.client.IncompleteRead):  # of a cut answer
                scene.ask(model, CHAT, {**body, "model": model, "stream": stream, "max_tokens": 3}, head)
    text = canaries("completion prompt")
    for path, more in {
        "/completions": {"prompt": text},
        "/responses": {"input": text},
        "/embeddings": {"input": text},
    }.items():
        for model in ("plain", "refusing", "denying", "forethought"):
            scene.ask(model, path, {"model": model, **more}, head)
    scene.ask("route", "/route", {**body, "model": "forethought"}, head)
    for wrong in (
        {**body, "model": "plain", "temperature": canaries("temperature")},
        {**body, "model": "plain", "n": [canaries("n")]},
        {**body, "model": "plain", "api_key": canaries("api_key field")},
        {**body, "model": "plain", "messages": [{"role": canaries("role"), "content": canaries("content")}]},
        {**body, "model": "plain", "tool_choice": canaries("tool choice"), "tools": canaries("tools")},
    ):
        assert scene.ask("wrong", CHAT, wrong, head).status == 400
    truncated = f'{{"model": "plain", "messages": "{canaries("truncated body")}'.encode()
    assert scene.ask("wrong", CHAT, truncated, head).status == 400
    feedback = {"decision": canaries("feedback"), "success": 1, "source": "a"}
    assert scene.ask("feedback", "/feedback", feedback, None, scene.admin).status == 404
    for path in (
        f"/decisions/{canaries('decision id')}",
        f"/models/{canaries('model path')}",
        f"/x?{canaries('query')}=1",
    ):
        assert scene.ask("path", path, None, None, scene.admin).status == 404
    for wrong_key in (f"ft-abcdefgh-{canaries('wrong key')}", f"sk-{canaries('key of elsewhere')}"):
        scene.ask("key", CHAT, {**body, "model": "plain"}, None, wrong_key)


KINDS = 40
"""At least so many kinds of secrets are sent."""


def test_no_secret_is_left_behind(start: Any, tattling: Provider, canaries: Canaries) -> None:
    scene = start()
    leak(scene)
    assert len(canaries.texts) >= KINDS
    seen_upstream = b"".join(each.raw + repr(each.headers).encode() for each in tattling.requests)
    assert set(canaries.found_in(seen_upstream)) >= {
        "prompt",
        "system prompt",
        "tool arguments",
        "upstream key",
        "user",
    }
    left = scene.left_behind()
    assert {name: found for name, data in left.items() if (found := canaries.found_in(data))} == {}
    assert len(left["ledger.sqlite"] + left.get("ledger.sqlite-wal", b"")) > 10_000
    assert b"denying" in b"".join(left.values())  # so what was done is there, only the secrets are not
    searched = sum(map(len, left.values()))
    print(f"\n{len(canaries.texts)} kinds of secrets, {len(scene.answers)} answers, {searched} bytes searched")


def test_the_gateways_own_errors_repeat_no_secret(start: Any, canaries: Canaries) -> None:
    scene = start()
    leak(scene)
    own = [
        (kind, answer) for kind, answer in scene.answers if answer.status >= 400 and kind not in ("refusing", "failing")
    ]
    assert len(own) > 20
    allowed = ("model name", "model path")  # what was asked for may be named to who asked for it
    for kind, answer in own:
        told = answer.body + repr(answer.headers).encode()
        assert canaries.found_in(told, allowed) == [], (kind, answer.body[:300])
    assert not [kind for kind, answer in scene.answers if canaries.texts["environment"].encode() in answer.body]


def test_an_upstream_that_repeats_the_key_does_not_tell_it_to_a_client(start: Any, canaries: Canaries) -> None:
    scene = start()
    leak(scene)
    for kind, answer in scene.answers:
        told = answer.body + repr(answer.headers).encode()
        assert canaries.texts["upstream key"].encode() not in told, kind


def test_a_decision_tells_others_nothing(start: Any, canaries: Canaries) -> None:
    scene = start()
    leak(scene)
    other = scene.gate.new_key()
    ids = [a.headers["x-forethought-decision"] for _, a in scene.answers if "x-forethought-decision" in a.headers]
    assert len(ids) > 10
    for id in ids:
        assert scene.gate.ask(f"/decisions/{id}", key=other).status == 404
        assert canaries.found_in(scene.gate.ask(f"/decisions/{id}", key=scene.admin).body) == []


def test_after_opting_in_the_routed_part_of_the_prompt_is_stored_and_nothing_else(
    start: Any, canaries: Canaries
) -> None:
    scene = start(retention={"text": True})
    leak(scene)
    routed = {"prompt", "system prompt", "completion prompt"}
    left = scene.left_behind()
    stored = b"".join(data for name, data in left.items() if name.startswith("ledger.sqlite"))
    assert set(canaries.found_in(stored)) == routed
    elsewhere = {name: data for name, data in left.items() if not name.startswith("ledger.sqlite")}
    assert {name: found for name, data in elsewhere.items() if (found := canaries.found_in(data))} == {}
    with sqlite3.connect(scene.gate.log.parent / "ledger.sqlite") as connection:
        texts = [row[0] for row in connection.execute("SELECT text FROM decisions WHERE text IS NOT NULL")]
        others = connection.execute("SELECT count(*) FROM decisions WHERE text IS NULL").fetchone()[0]
    connection.close()
    chat = f"system {canaries('system prompt')}\n\nquestion {canaries('prompt')}"
    assert set(texts) == {chat, canaries("completion prompt")}
    assert others > len(texts) / 2  # those of named targets, of which nothing is routed


def test_the_environment_of_the_child_holds_the_key_that_is_searched_for(start: Any, canaries: Canaries) -> None:
    scene = start()
    environment = Path(f"/proc/{scene.gate.process.pid}/environ").read_bytes()
    assert canaries.found_in(environment) == ["upstream key", "environment"]
