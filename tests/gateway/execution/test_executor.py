from __future__ import annotations

import json
from typing import Any

import pytest

from forethought.gateway.base import Plan
from forethought.gateway.problems import Problem


def test_a_named_target_gets_the_very_bytes(kit: Any) -> None:
    bench = kit.bench([kit.entry("a", model="a")], {"a": lambda k, body: kit.Says("hi")})
    request = kit.request(model="a", unknown={"kept": [1]})
    delivery, _ = bench.run(request, Plan(("a",)))
    [sent] = bench.upstreams["a"].requests
    assert sent.body is request.raw
    assert (delivery.status, delivery.target, delivery.headers, bench.account.ending) == (200, "a", {}, "ok")


def test_a_named_target_is_asked_by_its_own_model_and_no_policy(kit: Any) -> None:
    entry = kit.entry("a", policy={"system": "Be brief.", "temperature": 0.3})
    bench = kit.bench([entry], {"a": lambda k, body: kit.Says("hi")})
    bench.run(kit.request(model="a"), Plan(("a",)))
    [body] = bench.upstreams["a"].bodies
    assert body == {"model": "a-model", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}


def test_a_routed_request_is_asked_under_the_policy(kit: Any) -> None:
    policy = {"system": "Be brief.", "temperature": 0.3, "top_p": 0.9, "max_tokens": 7, "effort": "low"}
    bench = kit.bench([kit.entry("a", policy=policy)], {"a": lambda k, body: kit.Says("hi")})
    bench.run(kit.request(reasoning_effort="high", seed=3), kit.plan("a"))
    [body] = bench.upstreams["a"].bodies
    assert body == {
        "model": "a-model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 2?"}],
        "temperature": 0.3,
        "top_p": 0.9,
        "max_tokens": 7,
        "reasoning_effort": "low",
        "seed": 3,
    }


def test_a_fallback_to_a_target_without_a_decision_is_a_routed_request(kit: Any) -> None:
    bench = kit.bench([kit.entry("a")], {"a": lambda k, body: kit.Says("hi")})
    bench.run(kit.request(), Plan(("a",), note="the router could not read it"))
    assert bench.upstreams["a"].bodies[0]["max_tokens"] == 16


@pytest.mark.parametrize("asked", [True, False])
def test_a_streams_usage_is_always_asked_for_and_shown_to_who_asked(kit: Any, asked: bool) -> None:
    bench = kit.bench([kit.entry("a")], {"a": lambda k, body: kit.Says("one two")})
    options = {"stream_options": {"include_usage": True}} if asked else {}
    delivery, read = bench.run(kit.request(stream=True, **options), kit.plan("a"))
    assert bench.upstreams["a"].bodies[0]["stream_options"] == {"include_usage": True}
    chunks = kit.events(read)
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == "one two"
    assert any(chunk.get("usage") for chunk in chunks) is asked
    [attempt] = bench.account.attempts
    assert (attempt.input_tokens, attempt.output_tokens, attempt.estimated) == (10, 2, False)
    assert delivery.last == b"data: [DONE]\n\n"


def test_the_next_target_answers_with_its_own_body_where_the_first_fails(kit: Any) -> None:
    scripts = {"a": lambda k, body: kit.Says(status=503), "b": lambda k, body: kit.Says("hi")}
    bench = kit.bench([kit.entry("a"), kit.entry("b", policy={"max_tokens": 5})], scripts)
    delivery, _ = bench.run(kit.request(), kit.plan("a", "b"))
    assert (delivery.target, bench.account.ending) == ("b", "ok")
    assert bench.upstreams["b"].bodies[0]["max_tokens"] == 5
    assert [attempt.target for attempt in bench.account.attempts] == ["a", "b"]


def test_nobody_can_be_had(kit: Any) -> None:
    bench = kit.bench([kit.entry("a")], {"a": lambda k, body: kit.Says(status=503)})
    with pytest.raises(Problem) as caught:
        bench.run(kit.request(), kit.plan("a"))
    assert (caught.value.status, bench.account.ending) == (503, "failed")


def test_what_is_wrong_with_the_request_is_the_upstreams_own_word(kit: Any) -> None:
    scripts = {"a": lambda k, body: kit.Says(status=422, error="bad tool"), "b": lambda k, body: kit.Says("hi")}
    bench = kit.bench([kit.entry("a"), kit.entry("b")], scripts)
    delivery, read = bench.run(kit.request(), kit.plan("a", "b"))
    assert (delivery.status, bench.account.ending, json.loads(read)["error"]["message"]) == (422, "refused", "bad tool")
    assert bench.upstreams["b"].bodies == []


def test_money_is_entered_by_what_each_target_costs(kit: Any) -> None:
    bench = kit.bench([kit.entry("a")], {"a": lambda k, body: kit.Says("hi", prompt=1000, tokens=10)})
    bench.run(kit.request(), kit.plan("a"))
    assert bench.account.cost == 1000 * 1000 + 10 * 2000
