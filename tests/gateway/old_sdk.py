"""What an older `openai` SDK must see; run by its own interpreter with the URLs of a gateway and of a routed one.

Prints the SDK's version and the name of each check that passed, one a line; a failed check is a traceback.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI

HELLO: Any = [{"role": "user", "content": "question 7 on a river metal"}]
TEXT = "".join(f"w{i} " for i in range(60))
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
ERRORS = {
    "status-400": openai.BadRequestError,
    "nobody": openai.NotFoundError,
    "status-408": openai.APIStatusError,
    "status-409": openai.ConflictError,
    "status-422": openai.UnprocessableEntityError,
    "status-429": openai.RateLimitError,
    "status-500": openai.InternalServerError,
}


def check_whole(client: OpenAI, routed: OpenAI) -> None:
    answer = client.chat.completions.create(model="plain", messages=HELLO)
    assert answer.choices[0].message.content == TEXT
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 60


def check_stream(client: OpenAI, routed: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="plain", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT


def check_usage_in_stream(client: OpenAI, routed: OpenAI) -> None:
    options: Any = {"include_usage": True}
    *_, last = client.chat.completions.create(model="plain", messages=HELLO, stream=True, stream_options=options)
    assert last.usage is not None
    assert last.usage.completion_tokens == 60


def check_tools(client: OpenAI, routed: OpenAI) -> None:
    choice: Any = client.chat.completions.create(model="plain", messages=HELLO, tools=[TOOL]).choices[0]
    assert choice.message.tool_calls[0].function.name == "weather"
    chunks: Any = client.chat.completions.create(model="plain", messages=HELLO, tools=[TOOL], stream=True)
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert json.loads("".join(call.function.arguments or "" for call in calls)) == {"city": "Oslo"}


def check_json(client: OpenAI, routed: OpenAI) -> None:
    answer = client.chat.completions.create(model="plain", messages=HELLO, response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content or "") == {"answer": 42}


def check_n_and_logprobs(client: OpenAI, routed: OpenAI) -> None:
    answer: Any = client.chat.completions.create(model="plain", messages=HELLO, n=2, logprobs=True, max_tokens=3)
    assert [len(choice.logprobs.content) for choice in answer.choices] == [3, 3]


def check_completions(client: OpenAI, routed: OpenAI) -> None:
    assert client.completions.create(model="plain", prompt="x").choices[0].text == TEXT
    chunks = client.completions.create(model="plain", prompt="x", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT


def check_embeddings(client: OpenAI, routed: OpenAI) -> None:
    data = client.embeddings.create(model="embedder", input=["a", "b"]).data  # the SDK asks for base64 and decodes it
    assert [each.embedding for each in data] == [[0.25, -0.5, 0.0], [0.25, -0.5, 1.0]]


def check_responses(client: OpenAI, routed: OpenAI) -> None:
    assert client.responses.create(model="plain", input="x").output_text == TEXT
    events = list(client.responses.create(model="plain", input="x", stream=True))
    assert events[-1].type == "response.completed"


def check_models(client: OpenAI, routed: OpenAI) -> None:
    assert "plain" in {model.id for model in client.models.list()}
    assert client.models.retrieve("plain").id == "plain"


def error_of(client: OpenAI, model: str) -> Exception | None:
    try:
        client.chat.completions.create(model=model, messages=HELLO)
    except openai.APIStatusError as error:
        return error
    return None


def check_errors(client: OpenAI, routed: OpenAI) -> None:
    for model, kind in ERRORS.items():
        assert type(error_of(client, model)) is kind, model


def check_truncation(client: OpenAI, routed: OpenAI) -> None:
    text = ""
    try:
        for chunk in client.chat.completions.create(model="cut", messages=HELLO, stream=True):
            text += chunk.choices[0].delta.content or ""
    except openai.APIError:
        assert text == "w0 w1 w2 w3 w4 "
    else:
        raise AssertionError("a cut stream ended quietly")


def check_decision(client: OpenAI, routed: OpenAI) -> None:
    raw = routed.chat.completions.with_raw_response.create(model="forethought", messages=HELLO, max_tokens=100)
    assert raw.headers["x-forethought-target"] in raw.headers["x-forethought-success"]
    assert raw.parse().choices[0].message.content == TEXT
    chunks = routed.chat.completions.create(model="forethought", messages=HELLO, max_tokens=100, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT


async def check_async(url: str) -> None:
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
        answer = await client.chat.completions.create(model="plain", messages=HELLO)
        assert answer.choices[0].message.content == TEXT
        stream = await client.chat.completions.create(model="plain", messages=HELLO, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == TEXT


CHECKS: list[Callable[[OpenAI, OpenAI], None]] = [
    check_whole, check_stream, check_usage_in_stream, check_tools, check_json, check_n_and_logprobs, check_completions,
    check_embeddings, check_responses, check_models, check_errors, check_truncation, check_decision,
]  # fmt: skip


def main(url: str, routed_url: str) -> None:
    print(openai.__version__)
    with (
        OpenAI(base_url=url, api_key="any", max_retries=0) as client,
        OpenAI(base_url=routed_url, api_key="any", max_retries=0) as routed,
    ):
        for check in CHECKS:
            check(client, routed)
            print(check.__name__)
    asyncio.run(check_async(url))
    print(check_async.__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
