from __future__ import annotations

import pytest

from forethought.core import Decision, Prediction, Prices
from forethought.gateway.routing.conversations import Conversations, conversation_id, gain, lost_cache
from forethought.gateway.routing.reading import read_turns

HISTORY = (("user", "tell me of rivers"), ("assistant", "word " * 20_000))
"""25,000 tokens, which cost 0.025 USD at a dollar a million."""
RULES = (("system", "word " * 20_000),)
"""As many, before anybody has answered."""
EVEN = {"prices": {"input": 1.0, "output": 1.0}}
CACHED = {"prices": {"input": 1.0, "output": 1.0, "cached_input": 0.0}}


@pytest.fixture
def second_turn(planned, ask, gateway_config):
    """The plan of a second turn whose first was answered by a target that the router would not choose."""

    def run(entries=None, *, kept="hopeless", model="forethought/value:0.005", excluded=frozenset(), **rest):
        request = ask(earlier=HISTORY, model=model, **rest)

        async def work(planner, host):
            first = await planner.plan(ask("tell me of rivers", model=model, **rest))
            planner.answered(first, kept)
            return first, await planner.plan(request, excluded=excluded)

        return planned(work, gateway_config({"middling": EVEN, "hopeless": EVEN, **(entries or {})}))

    return run


def test_a_first_turn_names_its_conversation_and_the_second_finds_it(second_turn):
    first, second = second_turn()
    assert first.conversation == second.conversation is not None


def test_without_a_cache_to_lose_any_gain_moves_a_conversation(second_turn):
    _, plan = second_turn()
    assert plan.targets[0] != "hopeless"
    assert "moved from hopeless" in plan.note


def test_a_target_is_kept_while_its_cache_is_worth_more_than_the_gain(second_turn):
    _, plan = second_turn({"hopeless": CACHED})
    assert plan.targets[0] == plan.decision.target == "hopeless"
    assert plan.decision.reason.startswith("kept hopeless in its conversation")
    assert "kept with hopeless; the router's choice:" in plan.note
    assert len(plan.targets) == 5


def test_a_kept_target_that_cannot_be_asked_is_left(second_turn):
    _, plan = second_turn({"hopeless": CACHED}, excluded=frozenset({"hopeless"}))
    assert "hopeless" not in plan.targets
    assert plan.note == ""


def test_an_id_of_the_client_names_a_conversation_without_any_turns(planned, ask, gateway_config):
    async def work(planner, host):
        first = await planner.plan(ask("a verb", conversation="mine"))
        planner.answered(first, "hopeless")
        return [
            await planner.plan(ask("another question of metal", earlier=RULES, conversation=id, key=key))
            for id, key in (("mine", "k"), ("other", "k"), ("mine", "other key"))
        ]

    mine, other, stranger = planned(work, gateway_config({"hopeless": CACHED}))
    assert mine.targets[0] == "hopeless"
    assert other.targets[0] != "hopeless"
    assert stranger.targets[0] != "hopeless"


def test_the_same_beginning_without_an_answer_yet_is_routed_anew(planned, ask, gateway_config):
    async def work(planner, host):
        planner.answered(await planner.plan(ask(earlier=RULES)), "hopeless")
        return await planner.plan(ask(earlier=RULES))

    assert planned(work, gateway_config({"hopeless": CACHED})).targets[0] != "hopeless"


def test_other_processes_are_asked_through_the_ledger(planned, ask, gateway_config):
    asked = []

    async def kept_target(id, since):
        asked.append((id, since))
        return "hopeless"

    plan = planned(
        lambda planner, host: planner.plan(ask(earlier=HISTORY)),
        gateway_config({"hopeless": CACHED}),
        kept_target=kept_target,
    )
    assert plan.targets[0] == "hopeless"
    assert [id for id, _ in asked] == [plan.conversation]


def test_a_ledger_that_is_lost_does_not_stop_a_conversation(planned, ask):
    async def kept_target(id, since):
        raise OSError("no disk")

    plan = planned(lambda planner, host: planner.plan(ask(earlier=HISTORY)), kept_target=kept_target)
    assert plan.targets


def test_keeping_can_be_turned_off(planned, ask, gateway_config):
    async def work(planner, host):
        planner.answered(await planner.plan(ask("tell me of rivers")), "hopeless")
        return await planner.plan(ask(earlier=HISTORY))

    config = gateway_config({"hopeless": CACHED}, conversations={"keep": 0})
    plan = planned(work, config)
    assert plan.conversation is None
    assert plan.targets[0] != "hopeless"


def test_an_id_says_nothing_of_the_text_and_differs_by_key_system_and_beginning(ask):
    def id_of(**rest):
        request = ask(**rest)
        return conversation_id(request, read_turns(request))

    same = id_of(earlier=HISTORY)
    assert id_of(text="something else", earlier=HISTORY) == same
    others = {
        id_of(earlier=HISTORY, key="another"),
        id_of(earlier=(("system", "be brief"), *HISTORY)),
        id_of(earlier=(("user", "tell me of metals"), *HISTORY)),
        id_of(earlier=HISTORY, conversation="tell me of rivers"),
    }
    assert len(others | {same}) == 5
    assert all(len(id) == 32 and set(id) <= set("0123456789abcdef") for id in others)


def test_what_is_kept_expires_and_gives_way():
    now = [0.0]
    table = Conversations(10.0, most=2, clock=lambda: now[0])
    for id in ("a", "b", "c"):
        table.keep(id, "north")
    assert table.get("a") is None
    assert table.get("c").target == "north"
    now[0] = 10.0
    assert table.get("c") is None
    assert len(table) == 1


def test_gain_and_cache_are_reckoned_in_usd():
    predictions = (Prediction("old", 0.5, 1.0, 0.001), Prediction("new", 0.75, 1.0, 0.003))
    decision = Decision("new", predictions, "value", {}, "")
    assert gain(decision, "old", 0.04) == pytest.approx(0.04 * 0.25 - 0.002)
    assert lost_cache(Prices(2.0, 8.0, 0.5), 1e6) == pytest.approx(1.5)
    assert lost_cache(Prices(2.0, 8.0), 1e6) == 0.0
    assert lost_cache(None, 1e6) == 0.0
