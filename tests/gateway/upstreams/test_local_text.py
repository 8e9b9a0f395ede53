from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.gateway.upstreams.local_text import AnswerText


def decode(ids: list[int]) -> str:
    """Bytes as tokens, as a byte-level tokenizer without merges has them."""
    return bytes(ids).decode(errors="replace")


def pieces_of(text: str, stops: tuple[str, ...] = ()) -> list[str]:
    answer = AnswerText(decode, stops)
    pieces = []
    for byte in text.encode():
        pieces.append(answer.add(byte))
        if answer.stopped:
            break
    return [*pieces, answer.close()]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd")))
def test_pieces_are_whole_characters_and_the_stripped_text(text: str) -> None:
    pieces = pieces_of(text)
    assert "".join(pieces) == text.strip()
    assert not any("\ufffd" in piece for piece in pieces)


@given(st.text("ab \né"), st.lists(st.text("ab \n", min_size=1, max_size=3), min_size=1, max_size=3))
def test_the_text_ends_before_the_first_stop_string(text: str, stops: list[str]) -> None:
    # The stop that is complete first ends the answer; of those complete at once, the one that began first.
    ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
    done = [text.find(stop) for stop in stops if stop in text and text.find(stop) + len(stop) == min(ends)]
    expected = text[: min(done)] if done else text
    assert "".join(pieces_of(text, tuple(stops))) == expected.strip()


@given(st.binary())
def test_bytes_that_are_no_text_are_shown_as_such_but_never_at_the_end(raw: bytes) -> None:
    answer = AnswerText(decode)
    shown = "".join([*(answer.add(byte) for byte in raw), answer.close()])
    assert shown == raw.decode(errors="replace").rstrip("\ufffd").strip()


@pytest.mark.parametrize(("text", "cut"), [("a café", "a caf"), ("€", "")])
def test_half_a_character_is_dropped_at_the_end(text: str, cut: str) -> None:
    answer = AnswerText(decode)
    shown = [answer.add(byte) for byte in text.encode()[:-1]]
    assert "".join([*shown, answer.close()]) == cut


def test_what_is_settled_is_shown_at_once() -> None:
    answer = AnswerText(decode, ("STOP",))
    assert [answer.add(byte) for byte in b"ab STx"] == ["a", "b", "", "", "", " STx"]
