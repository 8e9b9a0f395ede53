from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.gateway.upstreams import UpstreamRequest
from forethought.gateway.upstreams.events import EventSplitter, data_of
from forethought.gateway.upstreams.stream import AnswerStream

LINE = st.sampled_from([b"data: x", b"data:y", b"data", b": note", b"event: e", b"id: 1", b"data: \xc3\xa9\r", b""])
EVENTS = st.lists(st.lists(LINE, min_size=1, max_size=4), max_size=6)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(stream) + 1) for place in at), len(stream)]
    return [stream[a:b] for a, b in pairwise(places)]


@given(EVENTS, st.sampled_from([b"\n", b"\r\n"]), CUTS)
def test_events_do_not_depend_on_how_the_bytes_were_cut(events, newline, at):
    stream = b"".join(newline.join(lines) + newline * 2 for lines in events) + b"data: unfinished"
    whole, pieces = EventSplitter(), EventSplitter()
    expected = whole.feed(stream)
    assert [event for piece in cut(stream, at) for event in pieces.feed(piece)] == expected
    assert b"".join(expected) + whole.rest() == stream
    assert pieces.rest() == whole.rest()


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\r\n\r\n", b"{}"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"event: x\ndata: {}\n\n", b"{}"),
        (b"data: {}\r\nid: 7\r\n\r\n", b"{}"),
        (b": keep-alive\n\n", None),
        (b"\n\n", None),
        (b"data:  two spaces\n\n", b" two spaces"),
    ],
)
def test_the_data_of_an_event_is_what_the_standard_says(event, data):
    assert data_of(event) == data


def test_an_event_without_an_end_does_not_fill_the_memory():
    splitter = EventSplitter()
    splitter.feed(b"x" * 2**25)
    with pytest.raises(ValueError, match="an event of more"):
        splitter.feed(b"x")


def chunk(**delta: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode() + b"\n\n"


FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
DONE = b"data: [DONE]\n\n"
ANSWER = chunk(role="assistant") + b": ping\n\n" + chunk(content="a") + chunk(content="b") + FINISH


@given(CUTS, st.booleans())
def test_an_answer_is_passed_on_byte_for_byte_and_its_end_held_back(at, show):
    stream = AnswerStream(UpstreamRequest("/chat/completions", b"{}", stream=True, show_usage=show))
    passed = b"".join(stream.take(piece) for piece in cut(ANSWER + USAGE + DONE, at)) + stream.finish()
    assert passed == ANSWER + (USAGE if show else b"")
    assert (stream.last, stream.failure, stream.ended) == (DONE, None, True)
    assert (stream.reading.usage, stream.reading.tokens) == ((3, 2, 0), 2)


@pytest.mark.parametrize(
    ("sent", "passed", "last", "failure"),
    [
        (ANSWER, ANSWER, DONE, None),
        (ANSWER + b"data: [DONE]", ANSWER, DONE, None),
        (ANSWER + b"data: [DONE]\n", ANSWER, b"data: [DONE]\n\n\n", None),
        (ANSWER.removesuffix(FINISH), ANSWER.removesuffix(FINISH), b"", "cut"),
        (ANSWER + USAGE[:30], ANSWER, b"", "cut"),
        (chunk(content="a") + b"data: {nonsense\n\n" + FINISH, chunk(content="a"), b"", "malformed"),
        (chunk(content="a") + b'data: {"error": {"message": "x"}}\n\n', chunk(content="a"), b"", "malformed"),
        (chunk(content="a") + b"data: 7\n\n", chunk(content="a"), b"", "malformed"),
        (chunk(content="a") + b'data: {"choices": [3]}\n\n', chunk(content="a"), b"", "malformed"),
    ],
)
def test_only_an_answer_that_ended_is_whole(sent, passed, last, failure):
    stream = AnswerStream(UpstreamRequest("/chat/completions", b"{}", stream=True))
    got = stream.take(sent)
    if stream.failure is None:
        got += stream.finish()
    assert (got, stream.last) == (passed, last)
    assert (None if stream.failure is None else stream.failure.kind) == failure


def test_a_second_choice_that_began_must_end_too():
    stream = AnswerStream(UpstreamRequest("/chat/completions", b"{}", stream=True))
    stream.take(b'data: {"choices": [{"index": 1, "delta": {"content": "b"}}]}\n\n' + FINISH)
    stream.finish()
    assert stream.failure is not None


def finish(index):
    return b'data: {"choices": [{"index": %d, "text": "a", "finish_reason": "stop"}]}\n\n' % index


@pytest.mark.parametrize(
    ("path", "asked", "choices"),
    [
        ("/chat/completions", {"n": 2}, 2),
        ("/chat/completions", {"n": 3.0}, 3),
        ("/chat/completions", {"n": None}, 1),
        ("/completions", {"n": 2, "best_of": 4, "prompt": "a"}, 2),
        ("/completions", {"prompt": ["a", "b"]}, 2),
        ("/completions", {"n": 2, "prompt": [[1, 2], [3]]}, 4),
        ("/completions", {"n": 2, "prompt": [1, 2, 3]}, 2),
        ("/completions", {"prompt": [1.0, 2]}, 1),
    ],
)
def test_every_choice_that_was_asked_for_must_end_even_one_that_never_began(path, asked, choices):
    for ended in range(choices + 1):
        stream = AnswerStream(UpstreamRequest(path, json.dumps(asked).encode(), stream=True))
        for index in reversed(range(choices - ended, choices)):
            stream.take(finish(index))
        stream.finish()
        assert (stream.failure is None) == (ended == choices)
        assert stream.last == (DONE if ended == choices else b"")


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"tool_calls": [{"index": 0}]},
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"refusal": "no"},
    ],
)
def test_text_tool_calls_and_reasoning_are_content(delta):
    stream = AnswerStream(UpstreamRequest("/chat/completions", b"{}", stream=True))
    stream.take(chunk(role="assistant", content=""))
    assert not stream.content
    stream.take(chunk(**delta))
    assert stream.content


@pytest.mark.parametrize(("end", "failed"), [("completed", False), ("incomplete", False), ("failed", True)])
def test_a_response_is_ended_by_its_own_event(end, failed):
    usage = {"input_tokens": 5, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 4}}
    begun = b'event: response.created\ndata: {"type": "response.created"}\n\n'
    delta = b'data: {"type": "response.output_text.delta", "delta": "hi"}\n\n'
    data = json.dumps({"type": f"response.{end}", "response": {"usage": usage}}).encode()
    last = b"event: response." + end.encode() + b"\ndata: " + data + b"\n\n"
    stream = AnswerStream(UpstreamRequest("/responses", b"{}", stream=True))
    assert stream.take(begun) == begun
    assert not stream.content
    assert stream.take(delta + last) == delta
    assert (stream.last, stream.content, stream.reading.failed) == (last, True, failed)
    assert stream.reading.usage == (5, 7, 4)


def test_a_response_without_its_last_event_is_cut():
    stream = AnswerStream(UpstreamRequest("/responses", b"{}", stream=True))
    stream.take(b'data: {"type": "response.output_text.delta", "delta": "hi"}\n\n')
    stream.finish()
    assert stream.failure is not None
    assert stream.failure.kind == "cut"


@pytest.mark.parametrize("code", ["content_filter", "context_length_exceeded"])
def test_the_clients_own_fault_told_within_a_stream_is_a_refusal(code):
    stream = AnswerStream(UpstreamRequest("/chat/completions", b"{}", stream=True))
    stream.take(b'data: {"error": {"message": "no", "code": "' + code.encode() + b'"}}\n\n')
    assert stream.failure is not None
    assert (stream.failure.kind, stream.failure.status) == ("status", 400)
