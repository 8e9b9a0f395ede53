from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import Question
from forethought.gateway.routing import routed_text
from forethought.gateway.routing.reading import bounded, characters_read, read_turns


@pytest.fixture(scope="module")
def tiny_encoder(tiny_model):
    from forethought.activations import TransformersEncoder
    from forethought.models import load

    return TransformersEncoder(load(str(tiny_model)), window=128)


def test_the_last_user_turn_and_every_system_turn_are_read(ask):
    earlier = (("system", "be brief"), ("user", "first"), ("assistant", "well"), ("developer", "be kind"))
    turns = read_turns(ask([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}], earlier=earlier))
    assert (turns.system, turns.user, turns.first) == ("be brief\n\nbe kind", "one\ntwo", "first")
    assert turns.answered
    assert turns.routed == len("be brief\n\nbe kindone\ntwo")


def test_a_turn_of_a_tool_after_the_user_changes_nothing(ask):
    request = ask("which river")
    request.body["messages"] += [{"role": "assistant", "content": None}, {"role": "tool", "content": "42"}]
    assert read_turns(request).user == "which river"


def test_the_clients_system_prompt_goes_before_the_question_and_not_beside_the_encoders(ask):
    turns = read_turns(ask("which river", earlier=(("system", "be brief"),)))
    for own in (None, "Give only the final answer."):
        messages = turns.question(own).messages
        assert [(turn.role, turn.content) for turn in messages] == [("user", "be brief\n\nwhich river")]


def test_what_the_encoder_says_already_is_not_said_twice(ask):
    turns = read_turns(ask("which river", earlier=(("system", " be brief\n"),)))
    assert turns.question("be brief").text == "which river"


def test_a_questions_id_says_nothing_of_its_text(ask):
    ids = {read_turns(ask(text)).question(None).id for text in ("a secret", "another one")}
    assert len(ids) == 1


def test_the_routed_text_is_what_is_read(ask):
    assert routed_text(ask("which river", earlier=(("system", "be brief"),))) == "be brief\n\nwhich river"
    assert routed_text(ask("")) is None
    assert routed_text(ask("why", path="/completions")) == "why"


@given(st.text(max_size=200), st.integers(1, 8))
def test_a_bounded_text_keeps_head_and_tail(text, window):
    kept = bounded(text, window)
    assert len(kept) == min(len(text), 16 * window)
    assert kept == text or (text.startswith(kept[: 8 * window]) and text.endswith(kept[8 * window :]))


@pytest.mark.parametrize("text", ["which river", "x" * 400, "\u6c34" * 100, "ab \u6c34" * 60, "y" * 50 + "\u6c34" * 90])
def test_characters_read_are_those_that_stand_in_the_prompt(tiny_encoder, text):
    question = Question.ask(text)
    tokens = int(tiny_encoder.lengths([question])[0])
    model = tiny_encoder.model
    ids = model.render(question.messages, None, limit=tiny_encoder.window)
    head, tail = model.chat.head_length(question.messages), model.eoi_length()
    shown = model.tokenizer.decode(ids[head : len(ids) - tail]).strip().count
    exact = sum(shown(letter) for letter in set(text) - {"\ufffd"})
    read = characters_read(tiny_encoder, text, tokens)
    assert abs(read - exact) <= 4
    assert (read == len(text)) == (tokens < tiny_encoder.window)


def test_a_prompt_that_just_fills_the_window_is_read_whole(tiny_encoder):
    fixed = int(tiny_encoder.lengths([Question.ask("x")])[0]) - 1
    text = "x" * (tiny_encoder.window - fixed)
    assert int(tiny_encoder.lengths([Question.ask(text)])[0]) == tiny_encoder.window
    assert characters_read(tiny_encoder, text, tiny_encoder.window) == len(text)
