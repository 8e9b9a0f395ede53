from __future__ import annotations

import pytest

from forethought.core import DecodingPolicy
from forethought.gateway.routing import missing
from forethought.gateway.routing.capabilities import demand, unroutable
from forethought.targets.pool import PoolEntry

CALLS = (("assistant", None), ("tool", "42"))
IMAGE = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": "data:x"}}]


def entry(**rest: object) -> PoolEntry:
    return PoolEntry.model_validate({"name": "a", "model": "a", "base_url": "http://127.0.0.1:9/v1", **rest})


@pytest.mark.parametrize(
    ("asked", "feature"),
    [
        ({"tools": [{}]}, "tools"),
        ({"functions": [{}]}, "tools"),
        ({"earlier": CALLS}, "tools"),
        ({"response_format": {"type": "json_object"}}, "json"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "json"),
        ({"text": IMAGE}, "images"),
        ({"text": [{"type": "input_audio"}, {"type": "text", "text": "hear"}]}, "images"),
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": 0}, "logprobs"),
        ({"top_logprobs": 3}, "logprobs"),
        ({"n": 2}, "n"),
        ({"best_of": 2}, "n"),
    ],
)
def test_what_is_asked_beyond_plain_text_is_missing_where_it_is_not_listed(ask, asked, feature):
    request = ask(**asked)
    assert missing(request, entry()) == (feature,)
    assert missing(request, entry(features=[feature])) == ()


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"tools": []},
        {"response_format": {"type": "text"}},
        {"response_format": None},
        {"logprobs": False},
        {"logprobs": None},
        {"n": 1},
        {"text": [{"type": "text", "text": "plain"}]},
        {"messages": "no list"},
        {"messages": [3, None]},
    ],
)
def test_a_plain_request_is_missing_nothing(ask, asked):
    assert missing(ask(**asked), entry()) == ()


@pytest.mark.parametrize(
    "plain",
    [
        {"base_url": None},
        {"policy": DecodingPolicy(votes=3, temperature=1.0)},
        {"vote": {"rule": "majority"}},
    ],
)
def test_votes_and_local_targets_answer_plain_text_only(ask, plain):
    listed = entry(features=["n", "tools"], **plain)
    assert missing(ask(n=2, tools=[{}]), listed) == ("tools", "n")
    assert missing(ask(), listed) == ()


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_prompt_that_surely_does_not_fit_with_its_answer_is_not_tried(ask, limit):
    request = ask("x" * 16_000, **{limit: 500})
    assert missing(request, entry(context=1499)) == ("context",)
    assert missing(request, entry(context=1500)) == ()
    assert missing(request, entry()) == ()
    assert missing(ask("x" * 16_000, path="/completions", **{limit: 500}), entry(context=1499)) == ("context",)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The quick brown fox jumps over the lazy dog and then rests. " * 100, 1300),
        ("internationalisation " * 200, 800),
        (" " * 64 * 100, 400),
        ("\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e04\u0e23\u0e31\u0e1a " * 400, 2000),
    ],
)
def test_a_prompt_that_fits_is_never_taken_for_too_long(ask, text, tokens):
    assert demand(ask(text)).tokens <= tokens


def test_what_a_target_writes_in_its_own_way_is_not_counted(ask):
    huge = [{"type": "text", "text": "x" * 32}, {"type": "image_url", "image_url": {"url": "x" * 10_000}}]
    assert demand(ask(huge)).tokens == 2
    assert demand(ask("x" * 32, tools=[{"name": "x" * 300}], response_format={"schema": "x" * 300})).tokens == 2


def test_a_few_shot_prompt_shows_no_conversation(ask):
    few = entry(base_url=None, policy=DecodingPolicy(prompt="few_shot", shots=2))
    assert missing(ask(), few) == ()
    assert missing(ask(earlier=(("user", "a"), ("assistant", "b"))), few) == ("turns",)


def test_what_can_never_be_routed_to_says_why():
    prices = {"input": 1.0, "output": 1.0}
    assert unroutable(entry(prices=prices), ()) is None
    assert unroutable(entry(), ()) == "prices"
    assert unroutable(entry(prices=prices, base_url=None), ["a"]) == "weights"
    assert unroutable(entry(prices=prices, base_url=None), ["b"]) is None
    assert "local" in unroutable(entry(prices=prices, policy=DecodingPolicy(prompt="few_shot")), ())
