from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from forethought.errors import ConfigError
from forethought.gateway.problems import Problem

VOTE = {"rule": "sequential", "setting": {"cap": 8, "consensus": 3}, "width": 3}


def bench(kit: Any, script: Any, *others: Any, vote: Any = VOTE, policy: Any = None, **settings: Any) -> Any:
    entries = [kit.entry("a", vote=vote, policy={"temperature": 0.8, **(policy or {})})]
    scripts = {"a": script}
    for name, other in others:
        entries.append(kit.entry(name))
        scripts[name] = other
    return kit.bench(entries, scripts, **settings)


def test_the_elected_text_is_the_answer_and_every_answer_is_charged(kit: Any) -> None:
    answers = ["4", "5", "4", "four", "4", "9", "9"]
    asked = bench(kit, lambda k, body: kit.Says(answers[k], pause=0.001))
    delivery, read = asked.run(kit.request(), kit.plan("a"))
    completion = json.loads(read)
    drawn = len(asked.upstreams["a"].bodies)
    assert completion["choices"][0]["message"]["content"] == "4"
    assert completion["model"] == "a-model"
    assert drawn == len(asked.account.attempts) == int(delivery.headers["x-forethought-votes"])
    assert asked.upstreams["a"].most <= 3
    assert asked.account.ending == "ok"
    assert completion["usage"]["prompt_tokens"] == sum(a.input_tokens for a in asked.account.attempts)
    assert delivery.headers["x-forethought-consensus"] == "true"
    assert "4" not in delivery.headers["x-forethought-stopped"]


def test_a_vote_can_be_streamed(kit: Any) -> None:
    asked = bench(kit, lambda k, body: kit.Says("so 4"))
    delivery, read = asked.run(kit.request(stream=True), kit.plan("a"))
    first, end = kit.events(read)
    assert (first["choices"][0]["delta"]["content"], end["choices"][0]["finish_reason"]) == ("so 4", "stop")
    assert first["object"] == "chat.completion.chunk"
    assert (delivery.last, delivery.target) == (b"data: [DONE]\n\n", "a")


def test_text_completions_vote_too(kit: Any) -> None:
    asked = bench(kit, lambda k, body: kit.Says("so 4"))
    _, read = asked.run(kit.request(path="/completions"), kit.plan("a"))
    assert json.loads(read)["choices"][0]["text"] == "so 4"
    assert len(asked.upstreams["a"].bodies) == 3


def test_policy_votes_are_a_majority(kit: Any) -> None:
    answers = ["1", "2", "2", "3", "2"]
    asked = bench(kit, lambda k, body: kit.Says(answers[k]), vote=None, policy={"votes": 5})
    delivery, read = asked.run(kit.request(), kit.plan("a"))
    assert json.loads(read)["choices"][0]["message"]["content"] == "2"
    assert delivery.headers["x-forethought-votes"] == "5"


@pytest.mark.parametrize(("own", "sent"), [(None, 0.7), (0, 0.7), (1.1, 1.1)])
def test_a_greedy_target_votes_at_a_temperature(kit: Any, own: float | None, sent: float) -> None:
    asked = bench(kit, lambda k, body: kit.Says(), policy={"temperature": 0.0})
    asked.run(kit.request(**({} if own is None else {"temperature": own})), kit.plan("a"))
    assert {body["temperature"] for body in asked.upstreams["a"].bodies} == {sent}


def test_one_seed_does_not_draw_one_answer_again_and_again(kit: Any) -> None:
    asked = bench(kit, lambda k, body: kit.Says())
    asked.run(kit.request(seed=7), kit.plan("a"))
    assert [body["seed"] for body in asked.upstreams["a"].bodies] == [7, 8, 9]


@pytest.mark.parametrize("more", [{"tools": [{}]}, {"n": 2}, {"logprobs": True}])
def test_what_cannot_be_compared_is_answered_once(kit: Any, more: dict[str, Any]) -> None:
    asked = bench(kit, lambda k, body: kit.Says())
    delivery, _ = asked.run(kit.request(**more), kit.plan("a"))
    assert len(asked.upstreams["a"].bodies) == 1
    assert "x-forethought-votes" not in delivery.headers


def test_a_named_target_does_not_vote(kit: Any) -> None:
    from forethought.gateway.base import Plan

    asked = bench(kit, lambda k, body: kit.Says())
    asked.run(kit.request(model="a"), Plan(("a",)))
    assert len(asked.upstreams["a"].bodies) == 1


def test_a_vote_that_fails_goes_to_the_next_target(kit: Any) -> None:
    asked = bench(kit, lambda k, body: kit.Says(status=503), ("b", lambda k, body: kit.Says("hi")))
    delivery, _ = asked.run(kit.request(), kit.plan("a", "b"))
    assert (delivery.target, asked.account.ending) == ("b", "ok")


def test_a_vote_comes_after_a_plain_target_that_fails(kit: Any) -> None:
    asked = bench(kit, lambda k, body: kit.Says("4"), ("b", lambda k, body: kit.Says(status=503)))
    delivery, _ = asked.run(kit.request(), kit.plan("b", "a"))
    assert (delivery.target, delivery.headers["x-forethought-votes"]) == ("a", "3")


def test_a_refusal_is_never_voted_around(kit: Any) -> None:
    asked = bench(kit, lambda k, body: kit.Says(status=400, error="content_filter"), ("b", lambda k, body: kit.Says()))
    delivery, _ = asked.run(kit.request(), kit.plan("a", "b"))
    assert (delivery.status, asked.account.ending, asked.upstreams["b"].bodies) == (400, "refused", [])


def test_no_answer_at_all_is_a_problem(kit: Any) -> None:
    asked = bench(kit, lambda k, body: kit.Says("4 5 6", cut=2))
    with pytest.raises(Problem):
        asked.run(kit.request(), kit.plan("a"))
    assert asked.account.ending == "failed"
    assert len(asked.upstreams["a"].bodies) <= 8
    assert all(attempt.output_tokens == 2 for attempt in asked.account.attempts)


def test_a_client_that_hangs_up_ends_the_answers_in_flight(kit: Any) -> None:
    asked = bench(kit, lambda k, body: kit.Says("a b c d", pause=0.05))

    async def work() -> float:
        task = asyncio.create_task(asked.executor.deliver(kit.request(), kit.plan("a"), asked.account))
        await asyncio.sleep(0.13)
        started = time.perf_counter()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return time.perf_counter() - started

    assert asyncio.run(work()) < 0.05
    assert (asked.upstreams["a"].active, asked.upstreams["a"].given_up) == (0, 3)
    assert [attempt.error for attempt in asked.account.attempts] == ["cancelled"] * 3
    assert all(attempt.output_tokens > 0 and attempt.estimated for attempt in asked.account.attempts)


def test_a_vote_ends_with_the_time_of_the_request(kit: Any) -> None:
    asked = bench(kit, lambda k, body: kit.Says("a b c d e f g h", pause=0.05), timeouts={"total": 0.1})
    with pytest.raises(Problem) as caught:
        asked.run(kit.request(), kit.plan("a"))
    assert (caught.value.status, asked.account.ending, asked.upstreams["a"].active) == (504, "failed", 0)


def test_a_rule_that_reads_confidences_is_refused_behind_an_endpoint(kit: Any) -> None:
    with pytest.raises(ConfigError, match="tells no confidences"):
        bench(kit, lambda k, body: kit.Says(), vote={"rule": "confidence_weighted"})
