"""Conversations over HTTP: a target is kept until another one gains more than the lost prompt cache costs."""

from __future__ import annotations

import itertools

import pytest
from running import Running

BEST = "forethought/argmax"
VALUE = 1e-4
"""USD of one more right answer: as much as some hundred cached tokens save."""


@pytest.fixture
def pair(gateway, provider, router_folder, target):
    """Starts gateways of two targets that are good at opposite questions; only `north` has a cheaper cached prompt."""

    def start(**settings) -> Running:
        targets = [target("north", provider, "ok:north"), target("south", provider, "ok:south")]
        return gateway(target=targets, router=router_folder, conversations={"value": VALUE, **settings})

    return start


def choices(gate: Running, key: str | None = None) -> dict[str, list[str]]:
    """Questions by the target that the router is sure to choose for them."""
    found: dict[str, list[str]] = {"north": [], "south": []}
    for i in itertools.count():
        text = f"question {i} on a planet verb"
        told = gate.ask("/route", {"model": BEST, "messages": [user(text)]}, key=key).json
        success = sorted(each["success"] for each in told["predictions"] if each["target"] in found)
        if success[1] - success[0] > 0.5:
            found[told["target"]].append(text)
        if min(map(len, found.values())) >= 3:
            return found
    raise AssertionError


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def talk(gate: Running, turns: list[dict], text: str, words: int = 4, **headers: str):
    """One more turn: what was answered, and the conversation with it."""
    asked = [*turns, user(text)]
    answer = gate.ask("/chat/completions", {"model": BEST, "messages": asked}, headers=headers)
    assert answer.status == 200
    return answer.headers, [*asked, {"role": "assistant", "content": "word " * words}]


def test_a_long_conversation_keeps_its_target_and_a_new_one_does_not(pair, provider):
    gate = pair()
    asked = choices(gate)
    _, turns = talk(gate, [], asked["north"][0], words=2000)
    kept, turns = talk(gate, turns, asked["south"][0])
    assert kept["x-forethought-target"] == "north"
    assert "conversation kept with north" in kept["x-forethought-note"]
    again, _ = talk(gate, turns, asked["south"][1])
    assert again["x-forethought-target"] == "north"
    fresh, _ = talk(gate, [], asked["south"][0])
    assert fresh["x-forethought-target"] == "south"
    assert "x-forethought-note" not in fresh
    assert [received.model for received in provider.requests] == ["ok:north"] * 3 + ["ok:south"]
    decision = gate.ask(f"/decisions/{kept['x-forethought-decision']}").json
    assert decision["target"] == decision["decision"]["target"] == "north"


@pytest.mark.parametrize(("words", "expected"), [(4, "south"), (2000, "north")])
def test_the_price_of_the_prompt_cache_decides(words, expected, pair):
    """The same two questions: what a short conversation has cached is worth less than the better answer."""
    gate = pair()
    asked = choices(gate)
    _, turns = talk(gate, [], asked["north"][0], words)
    moved, _ = talk(gate, turns, asked["south"][0])
    assert moved["x-forethought-target"] == expected


def test_a_target_without_a_price_for_cached_prompts_keeps_no_conversation(pair):
    gate = pair()
    asked = choices(gate)
    _, turns = talk(gate, [], asked["south"][0], words=2000)
    moved, _ = talk(gate, turns, asked["north"][0])
    assert moved["x-forethought-target"] == "north"
    assert "moved from south" in moved["x-forethought-note"]


def test_another_process_keeps_it_too(pair):
    """Two gateways on one ledger: the second never saw the conversation, and finds who answered in the ledger."""
    first, second = pair(), pair()
    asked = choices(first)
    _, turns = talk(first, [], asked["north"][0], words=2000)
    kept, turns = talk(second, turns, asked["south"][0])
    assert kept["x-forethought-target"] == "north"
    back, _ = talk(first, turns, asked["south"][1])
    assert back["x-forethought-target"] == "north"


def test_a_conversation_of_another_key_is_another_one(pair):
    gate = pair()
    one, other = gate.new_key(), gate.new_key()
    asked = choices(gate, one)
    header = {"x-forethought-conversation": "talk-1"}
    long = {"model": BEST, "messages": [user(asked["north"][0])]}
    later = {"model": BEST, "messages": [*long["messages"], {"role": "assistant", "content": "word " * 2000}]}
    later["messages"].append(user(asked["south"][0]))
    assert gate.ask("/chat/completions", long, key=one, headers=header).status == 200
    targets = [
        gate.ask("/chat/completions", later, key=key, headers=header).headers["x-forethought-target"]
        for key in (one, other)
    ]
    assert targets == ["north", "south"]


def test_where_conversations_are_not_kept_every_turn_is_routed_anew(pair):
    gate = pair(keep=0)
    asked = choices(gate)
    _, turns = talk(gate, [], asked["north"][0], words=2000)
    moved, _ = talk(gate, turns, asked["south"][0])
    assert moved["x-forethought-target"] == "south"


def test_a_conversation_moves_with_the_target_that_answered_in_the_failed_ones_place(pair, provider):
    gate = pair()
    asked = choices(gate)
    provider.behave["ok:north"] = "status-500"
    first, turns = talk(gate, [], asked["north"][0], words=2000)
    assert first["x-forethought-target"] == "south"
    provider.behave["ok:north"] = "ok"
    later, _ = talk(gate, turns, asked["south"][0])
    assert later["x-forethought-target"] == "south"
    assert "x-forethought-note" not in later  # nothing had to be kept: the router's choice is who answered last
