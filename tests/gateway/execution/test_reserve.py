from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.gateway.base import Plan

VOTE = {"rule": "majority", "setting": {"cap": 5}}


def says(kit: Any) -> Any:
    return lambda k, body: kit.Says()


def executor(kit: Any, *entries: Any, **settings: Any) -> Any:
    return kit.bench(list(entries), {entry["name"]: says(kit) for entry in entries}, **settings).executor


def test_a_named_target_may_take_the_whole_body_and_its_longest_answer(kit: Any) -> None:
    request = kit.request(model="a")
    reserve = executor(kit, kit.entry("a", max_output=100)).reserve(request, Plan(("a",)))
    assert reserve == 1000 * (len(request.raw) + 128 + 16) + 2000 * 100


def test_a_routed_target_takes_its_policys_prompt_and_limit(kit: Any) -> None:
    request = kit.request()
    reserve = executor(kit, kit.entry("a", policy={"system": "Bé brief."})).reserve(request, kit.plan("a"))
    assert reserve == 1000 * (len(request.raw) + 128 + 16 + 16 + 10) + 2000 * 16


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({"max_tokens": 9}, 9),
        ({"max_completion_tokens": 30, "max_tokens": 9}, 30),
        ({"max_tokens": 9, "n": 3}, 27),
        ({"max_tokens": -1}, 16),
        ({"max_tokens": True}, 16),
        ({"max_tokens": "many"}, 16),
    ],
)
def test_the_clients_own_limits(kit: Any, more: dict[str, Any], tokens: int) -> None:
    free = kit.entry("a", prices={"input": 0, "output": 2.0})
    assert executor(kit, free).reserve(kit.request(**more), kit.plan("a")) == 2000 * tokens


def test_several_prompts_are_several_answers(kit: Any) -> None:
    free = executor(kit, kit.entry("a", prices={"input": 0, "output": 2.0}))
    three = kit.request(path="/completions", prompt=["x", "y", "z"])
    ids = kit.request(path="/completions", prompt=[1, 2, 3])
    assert (free.reserve(three, kit.plan("a")), free.reserve(ids, kit.plan("a"))) == (3 * 32000, 32000)


def test_embeddings_have_no_answer(kit: Any) -> None:
    free = executor(kit, kit.entry("a", prices={"input": 0, "output": 2.0}))
    assert free.reserve(kit.request(path="/embeddings", model="a"), Plan(("a",))) == 0


def test_votes_multiply_where_they_are_taken(kit: Any) -> None:
    plain, voting = kit.entry("a"), kit.entry("b", vote=VOTE)
    both = executor(kit, plain, voting)
    request = kit.request()
    once = both.reserve(request, kit.plan("a"))
    assert both.reserve(request, kit.plan("b")) == 5 * once
    assert both.reserve(kit.request(model="b"), Plan(("b",))) < 5 * both.reserve(kit.request(model="a"), Plan(("a",)))


def test_fallbacks_do_not_add_up_but_escalations_and_hedges_do(kit: Any) -> None:
    entries = [
        kit.entry(name, prices={"input": price, "output": price}) for name, price in (("a", 1), ("b", 2), ("c", 4))
    ]
    request, plan = kit.request(), kit.plan("a", "b", "c")
    one = executor(kit, *entries).reserve(request, kit.plan("a"))
    assert executor(kit, *entries).reserve(request, plan) == 4 * one
    assert executor(kit, *entries, cascade={"confidence": 0.5}).reserve(request, plan) == 6 * one
    assert executor(kit, *entries, cascade={"confidence": 0.5, "steps": 9}).reserve(request, plan) == 7 * one
    assert executor(kit, *entries, retries={"hedge_after": 1.0}).reserve(request, plan) == 6 * one


def test_targets_without_prices_and_abstentions_cost_nothing(kit: Any) -> None:
    made = executor(kit, kit.entry("a", prices=None))
    assert (made.reserve(kit.request(), kit.plan("a")), made.reserve(kit.request(), kit.plan())) == (0, 0)


def shown(kit: Any, *parts: dict[str, Any]) -> Any:
    return kit.request(messages=[{"role": "user", "content": list(parts)}])


def test_images_are_counted_in_the_parsed_body_and_their_bytes_are_not(kit: Any) -> None:
    made = executor(kit, kit.entry("a", prices={"input": 1.0, "output": 0}))
    link = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    inline = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 200_000}}
    for request, images in ((shown(kit, link), 1), (shown(kit, link, link), 2), (shown(kit, inline), 1)):
        over = made.reserve(request, kit.plan("a")) - 1000 * 49_152 * images
        assert 0 < over < 1000 * 600
    escaped = shown(kit, link)
    raw = escaped.raw.replace(b"image_url", b"image\\u005furl")
    escaped = replace(escaped, raw=raw, body=json.loads(raw))
    assert made.reserve(escaped, kit.plan("a")) > 1000 * 49_152


def test_what_only_looks_like_an_image_is_text(kit: Any) -> None:
    made = executor(kit, kit.entry("a", prices={"input": 1.0, "output": 0}))
    odd = {"type": "image_url", "image_url": {"url": "data:text/plain," + "A" * 200_000}}
    assert made.reserve(shown(kit, odd), kit.plan("a")) > 1000 * (49_152 + 200_000)


def test_tools_are_explained_to_the_model(kit: Any) -> None:
    made = executor(kit, kit.entry("a", prices={"input": 1.0, "output": 0}))
    tool = {"type": "function", "function": {"name": "f"}}
    plain, told = kit.request(), kit.request(tools=[tool])
    more = made.reserve(told, kit.plan("a")) - made.reserve(plain, kit.plan("a"))
    assert more == 1000 * (1024 + len(told.raw) - len(plain.raw))


def test_items_of_a_responses_input_are_turns(kit: Any) -> None:
    made = executor(kit, kit.entry("a", prices={"input": 1.0, "output": 0}))
    turns = [{"role": "user", "content": "x"}] * 3
    request = kit.request(path="/responses", model="a", input=turns)
    assert made.reserve(request, Plan(("a",))) == 1000 * (len(request.raw) + 128 + 3 * 16)


def test_a_prompt_is_counted_for_each_of_n_answers_and_once_for_several_prompts(kit: Any) -> None:
    made = executor(kit, kit.entry("a", prices={"input": 1.0, "output": 0}))
    for body, times, texts in (({"n": 3}, 3, 1), ({"n": 2, "best_of": 4}, 4, 1), ({"prompt": ["x", "y"]}, 1, 2)):
        request = kit.request(path="/completions", **body)
        assert made.reserve(request, kit.plan("a")) == 1000 * times * (len(request.raw) + 128 + 16 * texts)


@given(st.integers(0, 10**40), st.integers(0, 10**40))
def test_no_number_is_too_large_to_be_refused(kit: Any, n: int, limit: int) -> None:
    made = executor(kit, kit.entry("a"))
    assert 0 <= made.reserve(kit.request(n=n, max_tokens=limit), kit.plan("a")) <= 2**62
