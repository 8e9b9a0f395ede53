from __future__ import annotations

from typing import Any

import pytest

from forethought.gateway.execution.completion import CompletionWriter, chunks_of, is_completion, usage_of


@pytest.mark.parametrize("chat", [True, False])
def test_the_objects_are_those_of_the_sdk(chat: bool) -> None:
    chat_types = pytest.importorskip("openai.types.chat")
    types = pytest.importorskip("openai.types")
    writer = CompletionWriter("1", "m", chat, 5)
    whole = writer.whole("hi", "stop", usage_of(3, 2, 1))
    chunks = [writer.piece("hi", first=True), writer.piece("ho"), writer.end("stop"), writer.counted(usage_of(3, 2))]
    kind, chunk_kind = (chat_types.ChatCompletion, chat_types.ChatCompletionChunk) if chat else (types.Completion,) * 2
    kind.model_validate(whole, strict=True)
    for chunk in [*chunks, *chunks_of(whole, show_usage=True)]:
        if not chat:  # the SDK types no null here, though the API sends it
            chunk = {
                **chunk,
                "choices": [{**c, "finish_reason": c["finish_reason"] or "stop"} for c in chunk["choices"]],
            }
        chunk_kind.model_validate(chunk, strict=True)
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_chunks_hold_every_choice_and_tool_call() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}
    choices = [{"index": i, "message": message, "logprobs": None, "finish_reason": "tool_calls"} for i in range(2)]
    chunks = chunks_of({"id": "x", "object": "chat.completion", "choices": choices}, show_usage=True)
    assert [chunk["choices"][0]["index"] for chunk in chunks] == [0, 1, 0, 1]
    assert chunks[0]["choices"][0]["delta"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"index": 0, **call}],
    }
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "tool_calls", "tool_calls"]


@pytest.mark.parametrize("junk", [None, [], {}, {"choices": []}, {"choices": [1]}, {"choices": [{"text": "x"}]}])
def test_junk_is_no_completion(junk: Any) -> None:
    assert not is_completion(junk, "/chat/completions")


def test_usage_adds_up() -> None:
    assert usage_of(3, 2, 1) == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
