from __future__ import annotations

import json
from typing import Any

import pytest

from forethought.gateway.execution.escalation import confidence_of, next_dearer

PRICES = {"a": 1.0, "b": 2.0, "c": 4.0}


def bench(kit: Any, scripts: dict[str, Any], features: Any = ("logprobs",), steps: int = 1) -> Any:
    entries = [
        kit.entry(name, features=list(features), prices={"input": PRICES[name], "output": PRICES[name]})
        for name in scripts
    ]
    return kit.bench(entries, scripts, cascade={"confidence": 0.6, "steps": steps})


def says(kit: Any, **what: Any) -> Any:
    return lambda k, body: kit.Says(**what)


def test_a_sure_answer_is_kept_and_shown_without_its_probabilities(kit: Any) -> None:
    asked = bench(kit, {"a": says(kit, text="4", sure=0.9), "b": says(kit, text="5", sure=0.9)})
    delivery, read = asked.run(kit.request(), kit.plan("a", "b"))
    [choice] = json.loads(read)["choices"]
    assert (choice["message"]["content"], choice["logprobs"]) == ("4", None)
    assert asked.upstreams["a"].bodies[0]["logprobs"] is True
    assert (asked.upstreams["b"].bodies, "x-forethought-escalated" in delivery.headers) == ([], False)


def test_probabilities_are_shown_to_who_asked_for_them(kit: Any) -> None:
    asked = bench(kit, {"a": says(kit, sure=0.9)})
    _, read = asked.run(kit.request(logprobs=True), kit.plan("a"))
    assert json.loads(read)["choices"][0]["logprobs"]["content"]


@pytest.mark.parametrize("what", [{"sure": 0.3}, {"sure": 0.9, "finish": "length"}, {"sure": 0.9, "text": ""}])
def test_an_answer_that_looks_wrong_is_asked_for_again(kit: Any, what: dict[str, Any]) -> None:
    asked = bench(kit, {"a": says(kit, **what), "c": says(kit, text="6", sure=0.1), "b": says(kit, text="5", sure=0.9)})
    delivery, read = asked.run(kit.request(), kit.plan("a", "c", "b"))
    assert json.loads(read)["choices"][0]["message"]["content"] == "5"
    assert (delivery.target, delivery.headers["x-forethought-escalated"]) == ("b", "a,b")
    assert [attempt.target for attempt in asked.account.attempts] == ["a", "b"]
    assert asked.account.ending == "ok"


@pytest.mark.parametrize(("steps", "last"), [(1, "b"), (2, "c"), (9, "c")])
def test_never_more_than_the_steps_allowed(kit: Any, steps: int, last: str) -> None:
    unsure = says(kit, sure=0.1)
    asked = bench(kit, {"a": unsure, "b": unsure, "c": unsure}, steps=steps)
    delivery, _ = asked.run(kit.request(), kit.plan("a", "b", "c"))
    assert delivery.target == last


def test_unknown_confidence_keeps_the_answer(kit: Any) -> None:
    asked = bench(kit, {"a": says(kit), "b": says(kit)}, features=())
    delivery, _ = asked.run(kit.request(), kit.plan("a", "b"))
    assert (delivery.target, "logprobs" in asked.upstreams["a"].bodies[0]) == ("a", False)


def test_a_filtered_answer_is_not_asked_for_elsewhere(kit: Any) -> None:
    asked = bench(kit, {"a": says(kit, text="", finish="content_filter"), "b": says(kit)})
    assert asked.run(kit.request(), kit.plan("a", "b"))[0].target == "a"


def test_an_escalation_that_fails_keeps_the_first_answer(kit: Any) -> None:
    asked = bench(kit, {"a": says(kit, text="4", sure=0.1), "b": says(kit, status=503)})
    delivery, read = asked.run(kit.request(), kit.plan("a", "b"))
    assert (delivery.target, json.loads(read)["choices"][0]["message"]["content"]) == ("a", "4")
    assert asked.account.ending == "ok"


def test_a_target_that_failed_is_not_escalated_to(kit: Any) -> None:
    asked = bench(kit, {"b": says(kit, status=401), "a": says(kit, text="4", sure=0.1), "c": says(kit, text="6")})
    delivery, _ = asked.run(kit.request(), kit.plan("b", "a", "c"))
    assert (delivery.target, len(asked.upstreams["b"].bodies)) == ("c", 1)


def test_a_stream_gets_the_last_answer_as_events(kit: Any) -> None:
    asked = bench(kit, {"a": says(kit, sure=0.1), "b": says(kit, text="so 5", sure=0.9)})
    delivery, read = asked.run(kit.request(stream=True, stream_options={"include_usage": True}), kit.plan("a", "b"))
    first, end, usage = kit.events(read)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "so 5"}
    assert (end["choices"][0]["finish_reason"], usage["usage"]["completion_tokens"]) == ("stop", 2)
    assert not any(body.get("stream") for body in asked.upstreams["a"].bodies)
    assert delivery.last == b"data: [DONE]\n\n"


def test_text_completions_escalate_too(kit: Any) -> None:
    asked = bench(kit, {"a": says(kit, sure=0.1), "b": says(kit, text="5", sure=0.9)})
    _, read = asked.run(kit.request(path="/completions"), kit.plan("a", "b"))
    assert json.loads(read)["choices"][0]["text"] == "5"
    assert asked.upstreams["a"].bodies[0]["logprobs"] == 1


def test_a_vote_without_consensus_is_escalated(kit: Any) -> None:
    vote = {"rule": "majority", "setting": {"cap": 4}}
    entries = [kit.entry("a", vote=vote), kit.entry("b", prices={"input": 9, "output": 9})]
    scripts = {"a": lambda k, body: kit.Says(str(k)), "b": says(kit, text="5")}
    asked = kit.bench(entries, scripts, cascade={"confidence": 0.6})
    delivery, _ = asked.run(kit.request(), kit.plan("a", "b"))
    assert (delivery.target, delivery.headers["x-forethought-escalated"]) == ("b", "a,b")


def test_a_refusal_ends_a_cascade(kit: Any) -> None:
    asked = bench(kit, {"a": says(kit, status=422), "b": says(kit)})
    delivery, _ = asked.run(kit.request(), kit.plan("a", "b"))
    assert (delivery.status, asked.account.ending, asked.upstreams["b"].bodies) == (422, "refused", [])


def test_tool_calls_are_no_empty_answer(kit: Any) -> None:
    from forethought.gateway.execution.escalation import looks_wrong

    choice = {"message": {"content": None, "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"}
    assert not looks_wrong({"choices": [choice]}, 0.9)


def test_dearer_is_by_expected_cost_before_price(kit: Any) -> None:
    prices = bench(kit, {"a": says(kit), "b": says(kit), "c": says(kit)}).config.prices
    by_price = kit.plan("a", "b", "c")
    by_cost = kit.plan("a", "b", "c", costs={"a": 2e-6, "b": 1e-6, "c": 3e-6})
    assert (next_dearer(by_price, "a", prices), next_dearer(by_price, "c", prices)) == ("b", None)
    assert (next_dearer(by_cost, "b", prices), next_dearer(by_cost, "a", prices)) == ("a", "c")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, None),
        ({"content": []}, None),
        ({"content": [{"logprob": float("nan")}]}, None),
        ({"content": None, "token_logprobs": [None, -1.0, -3.0]}, 0.1353352832366127),
        ({"content": [{"logprob": 0.0}, {"logprob": "x"}]}, 1.0),
    ],
)
def test_confidence_is_the_geometric_mean_probability(told: Any, expected: float | None) -> None:
    assert confidence_of({"logprobs": told}) == (None if expected is None else pytest.approx(expected))
