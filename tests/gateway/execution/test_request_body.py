from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from forethought.gateway.base import LOCAL, ClientRequest, Key
from forethought.gateway.execution.request_body import (
    as_it_comes,
    last_text,
    passed_through,
    routed_body,
    streamed,
    whole_and_sure,
)
from forethought.targets.pool import PoolEntry

BUDGETED = Key("k", daily_budget=10**9)


def raw_request(raw: bytes, path: str = "/chat/completions", key: Key = LOCAL) -> ClientRequest:
    return ClientRequest("r", path, raw, json.loads(raw), key, {"idempotency-key": "k-1", "x-request-id": "x"})


def test_names_within_other_fields_leave_a_body_as_it_is(kit: Any) -> None:
    properties = b'{"model":{"type":"string"},"n":{},"stream":{},"max_tokens":{}}'
    raw = b'{"model":"a", "temperature":1.0e0, "messages":[], "tools":[{"properties":' + properties + b"}]}"
    assert passed_through(raw_request(raw), PoolEntry(**kit.entry("a", model="a"))).body is raw


def test_another_name_changes_the_model_alone(kit: Any) -> None:
    request = kit.request(model="mine", x=[1.5, "é"])
    sent = passed_through(request, PoolEntry(**kit.entry("mine", model="theirs")))
    assert json.loads(sent.body) == {**request.body, "model": "theirs"}


@pytest.mark.parametrize(
    ("path", "told", "added"),
    [
        ("/chat/completions", {}, {"max_tokens": 99}),
        ("/chat/completions", {"max_tokens": None}, {"max_tokens": 99}),
        ("/chat/completions", {"max_tokens": 5}, {}),
        ("/chat/completions", {"max_completion_tokens": 5}, {}),
        ("/completions", {}, {"max_tokens": 99}),
        ("/responses", {}, {"max_output_tokens": 99}),
        ("/responses", {"max_output_tokens": 5}, {}),
        ("/embeddings", {}, {}),
    ],
)
def test_only_a_key_with_a_budget_is_held_to_the_entrys_longest_answer(
    kit: Any, path: str, told: dict[str, Any], added: dict[str, Any]
) -> None:
    body = {"model": "a", "messages": [], "prompt": "x", "input": "x", **told}
    raw, entry = json.dumps(body).encode(), PoolEntry(**kit.entry("a", model="a", max_output=99))
    assert passed_through(raw_request(raw, path), entry).body is raw
    held = passed_through(raw_request(raw, path, BUDGETED), entry)
    assert json.loads(held.body) == {**body, **added}
    assert added or held.body is raw


def test_a_local_target_keeps_its_policys_limit(kit: Any) -> None:
    raw = b'{"model":"a","messages":[]}'
    entry = PoolEntry(**kit.entry("a", model="a", base_url=None))
    assert passed_through(raw_request(raw, key=BUDGETED), entry).body is raw


@pytest.mark.parametrize("asks", [None, False, True])
@pytest.mark.parametrize("path", ["/chat/completions", "/completions"])
def test_the_usage_of_a_stream_is_asked_for_where_there_is_a_budget(kit: Any, path: str, asks: bool | None) -> None:
    options = {} if asks is None else {"stream_options": {"include_usage": asks, "x": 1}}
    raw = json.dumps({"model": "a", "messages": [], "prompt": "x", "stream": True, "max_tokens": 3, **options}).encode()
    entry = PoolEntry(**kit.entry("a", model="a"))
    free, held = passed_through(raw_request(raw, path), entry), passed_through(raw_request(raw, path, BUDGETED), entry)
    assert (free.body, free.show_usage) == (raw, True)
    told = {**json.loads(raw).get("stream_options", {}), "include_usage": True}
    assert json.loads(held.body) == {**json.loads(raw), "stream_options": told}
    assert (held.show_usage, held.body == raw) == (asks is True, asks is True)


def test_responses_tell_the_usage_of_a_stream_unasked(kit: Any) -> None:
    raw = b'{"model":"a","input":"x","stream":true,"max_output_tokens":3}'
    sent = passed_through(raw_request(raw, "/responses", BUDGETED), PoolEntry(**kit.entry("a", model="a")))
    assert (sent.body, sent.show_usage, sent.stream) == (raw, True, True)


def test_an_idempotency_key_is_for_one_request_and_not_for_many(kit: Any) -> None:
    request = raw_request(b'{"model":"a","messages":[]}')
    named = passed_through(request, PoolEntry(**kit.entry("a", model="a")))
    assert named.headers == {"idempotency-key": "k-1", "x-request-id": "x"}
    stream = replace(request, body={**request.body, "stream": True})
    entry = PoolEntry(**kit.entry("a"))
    routed = [
        as_it_comes(request, request.body, entry),
        as_it_comes(stream, stream.body, entry),
        streamed(request, request.body),
        whole_and_sure(request, request.body, entry),
    ]
    assert [each.headers for each in routed] == [{"x-request-id": "x"}] * 4


@pytest.mark.parametrize(
    ("path", "told", "filled"),
    [
        ("/chat/completions", {"max_output_tokens": 1}, {"max_tokens": 16}),
        ("/completions", {"max_completion_tokens": 1}, {"max_tokens": 16}),
        ("/completions", {"max_tokens": 1}, {"max_tokens": 1}),
    ],
)
def test_a_limit_of_another_path_does_not_stand_for_the_policys(
    kit: Any, path: str, told: dict[str, int], filled: dict[str, int]
) -> None:
    body = routed_body(kit.request(path=path, **told), PoolEntry(**kit.entry("a")))
    assert {**body, **filled} == body


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


def test_an_endpoint_without_a_policy_is_asked_as_the_client_asks():
    entry = PoolEntry(name="a", model="up", base_url="http://127.0.0.1:1/v1", max_output=77)
    raw = b'{"model":"forethought","messages":[{"role":"user","content":"x"}]}'
    asked = ClientRequest("id", "/chat/completions", raw, json.loads(raw), Key("k"))
    body = routed_body(asked, entry)
    assert (body["max_tokens"], "temperature" in body, "top_p" in body) == (77, False, False)
