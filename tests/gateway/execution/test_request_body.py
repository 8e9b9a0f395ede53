from __future__ import annotations

import json
from typing import Any

import pytest

from forethought.gateway.base import LOCAL, ClientRequest
from forethought.gateway.execution.request_body import last_text, passed_through


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"a","max_tokens":1,"max_tokens":100000,"messages":[]}',
        b'{"model":"b","model":"a","messages":[]}',
        b'{"n":1,"model":"a","n":99,"messages":[]}',
    ],
)
def test_a_field_told_twice_is_told_once(raw: bytes) -> None:
    request = ClientRequest("r", "/chat/completions", raw, json.loads(raw), LOCAL)
    sent = passed_through(request, "a").body
    assert json.loads(sent) == json.loads(raw)
    assert json.loads(sent, object_pairs_hook=len) == len(json.loads(raw))


def test_another_name_changes_the_model_alone(kit: Any) -> None:
    request = kit.request(model="mine", x=[1.5, "é"])
    assert json.loads(passed_through(request, "theirs").body) == {**request.body, "model": "theirs"}


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "user", "content": "hi"}], "hi"),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "a\nb"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], None),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}], None),
        ([{"role": "user", "content": "  "}], None),
        ([{"role": "user", "content": None}], None),
        ([{"role": "user", "content": [{"type": "text", "text": 3}]}], None),
        (["x"], None),
        ([], None),
    ],
)
def test_what_the_last_turn_asks(kit: Any, messages: Any, text: str | None) -> None:
    assert last_text(kit.request(messages=messages)) == text


def test_a_clients_system_turn_replaces_the_policys(kit: Any) -> None:
    bench = kit.bench([kit.entry("a", policy={"system": "Be brief."})], {"a": lambda k, body: kit.Says()})
    turns = [{"role": "developer", "content": "Shout."}, {"role": "user", "content": "hi"}]
    bench.run(kit.request(messages=turns), kit.plan("a"))
    assert bench.upstreams["a"].bodies[0]["messages"] == turns


def test_null_is_left_out_and_a_clients_limit_is_kept(kit: Any) -> None:
    bench = kit.bench([kit.entry("a", policy={"temperature": 0.4})], {"a": lambda k, body: kit.Says()})
    bench.run(kit.request(temperature=None, max_completion_tokens=3), kit.plan("a"))
    [body] = bench.upstreams["a"].bodies
    assert (body["temperature"], body["max_completion_tokens"], "max_tokens" in body) == (0.4, 3, False)
