from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import DecodingPolicy, Question, Target
from forethought.errors import UpstreamError
from forethought.targets import EndpointResponder, Response, Retry
from forethought.targets.streaming import StreamedAnswer, estimated_prompt, read_usage

QUESTION = Question.ask("Which one?")
PROMPT = 5  # "Be brief." and the question: 19 characters at four a token


def responder(server: Any, **options: Any) -> EndpointResponder:
    policy = DecodingPolicy(system="Be brief.", temperature=0.5, max_tokens=9)
    options = {"retry": Retry(attempts=3, base=0.01), **options}
    return EndpointResponder(Target("t", "some-model", policy), base_url=server.url, **options)


def collect(endpoint: EndpointResponder, **options: Any) -> tuple[list[str], Response]:
    async def run() -> list[str | Response]:
        return [piece async for piece in endpoint.astream(QUESTION, **options)]

    *deltas, last = asyncio.run(run())
    assert isinstance(last, Response)
    return [str(delta) for delta in deltas], last


def test_deltas_then_the_response(sse: Any, script: Any) -> None:
    sse.scripts = [script("one two three ", usage={"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}})]
    deltas, last = collect(responder(sse), extra={"seed": 3})
    assert deltas == ["one", " two", " three", " "]
    assert (last.text, last.input_tokens, last.output_tokens) == ("one two three", 7, 5)
    assert (last.cached_tokens, last.finish, last.estimated) == (4, "stop", False)
    [body] = sse.bodies
    assert (body["stream"], body["stream_options"], body["seed"]) == (True, {"include_usage": True}, 3)
    assert body["messages"][-1] == {"role": "user", "content": "Which one?"}


@pytest.mark.parametrize(
    ("options", "text", "tokens"),
    [
        ({"usage": None}, "a b c", 3),
        ({"cut": 2}, "a b", 2),
        ({"cut": 0}, "", 0),
        ({"cut": 2, "headers": {"Content-Length": "9999"}}, "a b", 2),
        ({"events": ["not json"]}, "", 0),
        ({"events": ['{"choices": [{"delta": {"content": "x"}}]}', '{"error": {"message": "overloaded"}}']}, "x", 1),
        ({"events": ['{"choices": [{"delta": {"content": "x"}}]}', "[DONE]"]}, "x", 1),
        ({"events": []}, "", 0),
    ],
    ids=["no usage", "cut", "cut at once", "cut in the body", "garbage", "told midway", "no finish", "nothing"],
)
def test_what_is_cut_or_uncounted_is_a_partial_error(
    sse: Any, script: Any, options: dict[str, Any], text: str, tokens: int
) -> None:
    sse.scripts = [script(**options)]
    _, last = collect(responder(sse))
    assert (last.text, last.output_tokens, last.finish, last.estimated) == (text, tokens, "error", True)
    assert last.input_tokens == PROMPT
    assert len(sse.bodies) == 1


def test_usage_told_before_the_cut_is_kept(sse: Any, script: Any) -> None:
    events = [
        {"choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": 40, "completion_tokens": 9}},
        {"choices": [{"delta": {"content": "y"}}]},
    ]
    sse.scripts = [script(events=[json.dumps(event) for event in events])]
    _, last = collect(responder(sse))
    assert (last.input_tokens, last.output_tokens, last.estimated, last.finish) == (40, 9, True, "error")


def test_hidden_reasoning_is_empty_deltas(sse: Any, script: Any) -> None:
    events = [
        {"choices": [{"delta": {"reasoning_content": "hm"}}]},
        {"choices": [{"delta": {"content": "4"}, "finish_reason": "stop"}]},
    ]
    sse.scripts = [script(events=[*map(json.dumps, events), "[DONE]"])]
    deltas, last = collect(responder(sse))
    assert (deltas, last.text, last.output_tokens) == (["", "4"], "4", 2)


def test_an_endpoint_that_ignores_stream(sse: Any, script: Any) -> None:
    sse.scripts = [script("whole answer", plain=True)]
    deltas, last = collect(responder(sse))
    assert (deltas, last.text, last.input_tokens, last.estimated) == (["whole answer"], "whole answer", 11, False)


def test_retries_until_a_stream_begins(sse: Any, script: Any) -> None:
    sse.scripts = [script(status=429, headers={"Retry-After": "0.2"}), script("fine")]
    started = time.perf_counter()
    _, last = collect(responder(sse))
    assert (last.text, len(sse.bodies)) == ("fine", 2)
    assert time.perf_counter() - started >= 0.2
    sse.scripts = [script(status=429)]
    with pytest.raises(UpstreamError, match=r"HTTP 429 after 3 attempt"):
        collect(responder(sse))


def test_silence_midway_is_a_cut(sse: Any, script: Any) -> None:
    sse.scripts = [script("a b", pause=0.4)]
    _, last = collect(responder(sse, timeout=0.2))
    assert (last.finish, last.output_tokens) == ("error", 0)


def test_closing_the_iterator_closes_the_connection(sse: Any, script: Any) -> None:
    sse.scripts = [script(" ".join("x" * 400), pause=0.005)]

    async def two_deltas() -> bool:
        endpoint = responder(sse)
        async with endpoint.open_client() as client:
            async with aclosing(endpoint.astream(QUESTION, client=client)) as pieces:
                assert [await anext(pieces), await anext(pieces)] == ["x", " x"]
            return await asyncio.to_thread(sse.wait_gone, 1)  # while the client is still open

    assert asyncio.run(two_deltas())
    assert sse.gone[0] < 100


def test_cancelling_the_task_closes_the_connection(sse: Any, script: Any) -> None:
    sse.scripts = [script(" ".join("x" * 400), pause=0.005)]

    async def cancelled() -> bool:
        endpoint = responder(sse)
        async with endpoint.open_client() as client:

            async def read() -> None:
                async for _ in endpoint.astream(QUESTION, client=client):
                    begun.set()

            begun = asyncio.Event()
            task = asyncio.create_task(read())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await asyncio.to_thread(sse.wait_gone, 1)

    assert asyncio.run(cancelled())
    assert sse.gone[0] < 100


def test_several_answers_share_a_client(sse: Any, script: Any) -> None:
    sse.scripts = [script("same", pause=0.05)]

    async def three() -> list[str]:
        endpoint = responder(sse)
        async with endpoint.open_client() as client:

            async def last() -> str:
                pieces = [piece async for piece in endpoint.astream(QUESTION, client=client)]
                assert isinstance(pieces[-1], Response)
                return pieces[-1].text

            return list(await asyncio.gather(*(last() for _ in range(3))))

    assert asyncio.run(three()) == ["same"] * 3
    assert sse.most == 3


@given(st.lists(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))))
def test_any_event_is_a_chunk_or_a_value_error(events: list[str]) -> None:
    answer = StreamedAnswer(3)
    for event in events:
        try:
            answer.feed(event)
        except ValueError:
            break
    assert answer.response(0.0).output_tokens == answer.tokens


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": 1}, "x"])
def test_usage_without_counts(usage: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_usage(usage)


def test_cached_tokens_are_part_of_the_prompt() -> None:
    told = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}
    assert read_usage(told) == (5, 1, 5)
    assert read_usage({**told, "prompt_tokens_details": None}) == (5, 1, 0)
    assert estimated_prompt([{"content": "12345"}, {"content": "678"}]) == 2
