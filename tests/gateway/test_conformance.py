"""The official SDK against the gateway: it changes its base URL, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from running import Running

HELLO = [{"role": "user", "content": "question 7 on a river metal"}]
TEXT = "".join(f"w{i} " for i in range(60))
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
MODELS = {
    "plain": "ok",
    "cut": "cut-5",
    "silent-end": "end-5",
    "broken": "error-5",
    "slow": "ok+pace-0.05",
    "clears": "first-1-status-503",
    "clears-of-rate": "first-1-status-429",
    "embedder": "ok:embedder",
    **{f"status-{status}": f"status-{status}" for status in (400, 404, 408, 409, 422, 429, 500, 503)},
}
ONCE = {"retries": {"attempts": 1}, "breaker": {"failures": 1000}}
"""The gateway's own retries would hide what is for the SDK to do."""
PACKAGES = ("openai==1.109.1", "openai==2.8.1")


class Answer(BaseModel):
    answer: int


class Sync:
    """Asks by `OpenAI`."""

    def __init__(self, url: str, **options: Any) -> None:
        self.options = {"base_url": url, "api_key": "any", "max_retries": 0, "timeout": 20.0, **options}

    def call(self, work: Callable[[Any], Any]) -> Any:
        """What a method of the client returns."""
        with OpenAI(**self.options) as client:
            return work(client)

    def collect(self, work: Callable[[Any], Any]) -> list[Any]:
        """All that an iterable method yields."""
        return self.collect_until_error(work)[0]

    def collect_until_error(self, work: Callable[[Any], Any], allowed: tuple[type[Exception], ...] = ()) -> Any:
        """What was yielded, and the exception that ended it."""
        found: list[Any] = []
        with OpenAI(**self.options) as client:
            try:
                for each in work(client):
                    found.append(each)
            except allowed as error:
                return found, error
        return found, None


class Async(Sync):
    """Asks by `AsyncOpenAI`."""

    def call(self, work: Callable[[Any], Any]) -> Any:
        async def main() -> Any:
            async with AsyncOpenAI(**self.options) as client:
                return await work(client)

        return asyncio.run(main())

    def collect_until_error(self, work: Callable[[Any], Any], allowed: tuple[type[Exception], ...] = ()) -> Any:
        async def main() -> Any:
            found: list[Any] = []
            async with AsyncOpenAI(**self.options) as client:
                try:
                    made = work(client)
                    async for each in await made if asyncio.iscoroutine(made) else made:
                        found.append(each)
                except allowed as error:
                    return found, error
            return found, None

        return asyncio.run(main())


@pytest.fixture
def gate(gateway: Any, provider: Any, target: Any) -> Running:
    """A gateway whose targets are named by what they do."""
    return gateway(target=[target(name, provider, model) for name, model in MODELS.items()], **ONCE)


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def sdk(request: Any) -> type[Sync]:
    """Either kind of client."""
    return request.param


def chat(model: str = "plain", **more: Any) -> Callable[[Any], Any]:
    return lambda client: client.chat.completions.create(model=model, messages=HELLO, **more)


def test_a_chat_is_answered(gate: Running, sdk: type[Sync]) -> None:
    answer = sdk(gate.url).call(chat(temperature=0.5, max_tokens=100, user="somebody", metadata={"a": "b"}))
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 60
    assert answer.usage.prompt_tokens_details.cached_tokens == answer.usage.prompt_tokens // 2


def test_a_chat_is_streamed_whole_and_in_order(gate: Running, sdk: type[Sync]) -> None:
    chunks = sdk(gate.url).collect(chat(stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert [chunk for chunk in chunks if chunk.usage is not None] == []


def test_a_streams_usage_comes_where_it_was_asked_for(gate: Running, sdk: type[Sync]) -> None:
    chunks = sdk(gate.url).collect(chat(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 60
    assert [chunk for chunk in chunks[:-1] if chunk.usage is not None] == []


def test_a_tool_is_called(gate: Running, sdk: type[Sync]) -> None:
    choice = sdk(gate.url).call(chat(tools=[WEATHER])).choices[0]
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Oslo"}


def test_a_tool_call_is_streamed(gate: Running, sdk: type[Sync]) -> None:
    chunks = sdk(gate.url).collect(chat(stream=True, tools=[WEATHER], tool_choice="auto"))
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert [call.function.name for call in calls if call.function.name] == ["weather"]
    assert json.loads("".join(call.function.arguments or "" for call in calls)) == {"city": "Oslo"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_tools_result_is_taken(gate: Running, sdk: type[Sync], provider: Any) -> None:
    client = sdk(gate.url)
    called = client.call(chat(tools=[WEATHER])).choices[0].message
    turns = [*HELLO, called, {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "rain"}]
    answer = client.call(
        lambda c: c.chat.completions.create(model="plain", messages=turns, tools=[WEATHER], tool_choice="none")
    )
    assert answer.choices[0].message.content == TEXT
    assert provider.requests[-1].body["messages"][-1]["content"] == "rain"


def test_json_mode_and_a_schema(gate: Running, sdk: type[Sync]) -> None:
    client = sdk(gate.url)
    plain = client.call(chat(response_format={"type": "json_object"}))
    assert json.loads(plain.choices[0].message.content) == {"answer": 42}
    parsed = client.call(lambda c: c.chat.completions.parse(model="plain", messages=HELLO, response_format=Answer))
    assert parsed.choices[0].message.parsed == Answer(answer=42)


def test_several_answers_and_their_probabilities(gate: Running, sdk: type[Sync]) -> None:
    client = sdk(gate.url)
    answer = client.call(chat(n=2, logprobs=True, max_tokens=3))
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [token.logprob for token in answer.choices[1].logprobs.content] == [-0.25] * 3
    chunks = client.collect(chat(n=2, logprobs=True, max_tokens=3, stream=True))
    told = [
        token for chunk in chunks for choice in chunk.choices if choice.logprobs for token in choice.logprobs.content
    ]
    assert len(told) == 6
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}


def test_text_completions(gate: Running, sdk: type[Sync]) -> None:
    client = sdk(gate.url)
    whole = client.call(lambda c: c.completions.create(model="plain", prompt="x", logprobs=1))
    assert (whole.choices[0].text, len(whole.choices[0].logprobs.tokens)) == (TEXT, 60)
    chunks = client.collect(lambda c: c.completions.create(model="plain", prompt=["x"], stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings(gate: Running, sdk: type[Sync], form: str) -> None:
    answer = sdk(gate.url).call(lambda c: c.embeddings.create(model="embedder", input=["a", "b"], encoding_format=form))
    assert answer.usage.prompt_tokens == 2
    if form == "float":
        assert [each.embedding for each in answer.data] == [[0.25, -0.5, 0.0], [0.25, -0.5, 1.0]]
    else:
        assert all(isinstance(each.embedding, str) for each in answer.data)


def test_responses(gate: Running, sdk: type[Sync]) -> None:
    client = sdk(gate.url)
    whole = client.call(lambda c: c.responses.create(model="plain", input="x"))
    assert (whole.output_text, whole.usage.output_tokens) == (TEXT, 60)
    events = client.collect(lambda c: c.responses.create(model="plain", input=HELLO, stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens == 60
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_models(gate: Running, sdk: type[Sync]) -> None:
    client = sdk(gate.url)
    assert [model.id for model in client.collect(lambda c: c.models.list())] == list(MODELS)
    assert client.call(lambda c: c.models.retrieve("plain")).id == "plain"
    with pytest.raises(openai.NotFoundError):
        client.call(lambda c: c.models.retrieve("nobody"))


def test_the_decision_is_read_from_the_raw_response(routed: Any, sdk: type[Sync]) -> None:
    gate = routed()
    raw = sdk(gate.url).call(
        lambda c: c.chat.completions.with_raw_response.create(model="forethought", messages=HELLO, max_tokens=100)
    )
    target = raw.headers["x-forethought-target"]
    told = dict(pair.split("=") for pair in raw.headers["x-forethought-success"].split(","))
    assert target in told
    assert float(raw.headers["x-forethought-cost-usd"]) > 0
    assert raw.headers["x-forethought-artifact"]
    answer = raw.parse()
    assert answer.choices[0].message.content == TEXT
    decision = gate.ask(f"/decisions/{raw.headers['x-forethought-decision']}").json
    assert (decision["target"], decision["ending"]) == (target, "ok")


def test_a_routed_stream_is_read_with_its_decision(routed: Any, sdk: type[Sync]) -> None:
    wanted = {"model": "forethought", "messages": HELLO, "stream": True, "max_tokens": 100}

    async def asked(client: Any) -> Any:
        raw = await client.chat.completions.with_raw_response.create(**wanted)
        return raw.headers, [chunk async for chunk in raw.parse()]

    def ask(client: Any) -> Any:
        raw = client.chat.completions.with_raw_response.create(**wanted)
        return raw.headers, list(raw.parse())

    headers, chunks = sdk(routed().url).call(asked if sdk is Async else ask)
    assert headers["x-forethought-target"] != "none"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT


def test_a_policy_is_asked_for_by_the_models_name(routed: Any, sdk: type[Sync]) -> None:
    raw = sdk(routed().url).call(
        lambda c: c.chat.completions.with_raw_response.create(model="forethought/argmax", messages=HELLO)
    )
    assert raw.headers["x-forethought-rule"] == "argmax"


ERRORS: list[tuple[str, type[openai.APIStatusError]]] = [
    ("status-400", openai.BadRequestError),
    ("nobody", openai.NotFoundError),
    ("status-404", openai.NotFoundError),
    ("status-408", openai.APIStatusError),
    ("status-409", openai.ConflictError),
    ("status-422", openai.UnprocessableEntityError),
    ("status-429", openai.RateLimitError),
    ("status-500", openai.InternalServerError),
    ("status-503", openai.InternalServerError),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_error_is_of_its_class(gate: Running, sdk: type[Sync], stream: bool) -> None:
    client = sdk(gate.url)
    for model, kind in ERRORS:
        with pytest.raises(kind) as caught:
            client.call(chat(model, stream=stream))
        assert type(caught.value) is kind
        assert caught.value.status_code == (int(model.removeprefix("status-")) if model != "nobody" else 404)
        assert caught.value.body["message"]


BAD = {
    "messages": {"messages": []},
    "temperature": {"temperature": 3},
    "n": {"n": 0},
    "api_base": {"extra_body": {"api_base": "http://localhost:1"}},
}


@pytest.mark.parametrize("field", BAD)
def test_a_bad_request_names_its_field(gate: Running, sdk: type[Sync], field: str) -> None:
    body = {"model": "plain", "messages": HELLO, **BAD[field]}
    with pytest.raises(openai.BadRequestError) as caught:
        sdk(gate.url).call(lambda c: c.chat.completions.create(**body))
    assert caught.value.param == field
    assert caught.value.type == "invalid_request_error"


def test_keys_and_scopes_and_limits_are_of_their_classes(gate: Running, sdk: type[Sync]) -> None:
    key = gate.new_key(requests_per_second=2)
    spent = gate.new_key(daily_budget=1)
    time.sleep(1.05)  # that keys are needed from now on is noticed within a second
    with pytest.raises(openai.AuthenticationError):
        sdk(gate.url, api_key="sk-somebody").call(chat())
    with pytest.raises(openai.PermissionDeniedError):
        sdk(gate.url, api_key=key).call(lambda c: c.get("/csrf", cast_to=object))
    by_key = sdk(gate.url, api_key=key)
    with pytest.raises(openai.RateLimitError) as over:
        [by_key.call(chat()) for _ in range(5)]
    assert int(over.value.response.headers["retry-after"]) >= 1
    with pytest.raises(openai.RateLimitError) as broke:
        sdk(gate.url, api_key=spent).call(chat())
    assert broke.value.code == "budget_exhausted"


def test_an_abstention_can_be_an_error(routed: Any, sdk: type[Sync]) -> None:
    careful = {"careful": {"rule": "argmax+floor", "setting": {"floor": 1.0}}}
    gate = routed(policies=careful, abstention={"response": "error"})
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        sdk(gate.url).call(chat("forethought/careful"))
    assert caught.value.code == "abstained"


@pytest.mark.parametrize("model", ["cut", "silent-end", "broken"])
def test_a_broken_stream_never_ends_quietly(gate: Running, sdk: type[Sync], model: str) -> None:
    chunks, error = sdk(gate.url).collect_until_error(chat(model, stream=True), (openai.APIError,))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "w0 w1 w2 w3 w4 "
    assert error is not None
    assert error.code == "stream_truncated"


def test_a_broken_response_never_ends_quietly(gate: Running, sdk: type[Sync]) -> None:
    events, error = sdk(gate.url).collect_until_error(
        lambda c: c.responses.create(model="cut", input="x", stream=True), (openai.APIError,)
    )
    assert error is not None
    assert "response.completed" not in {event.type for event in events}


@pytest.mark.parametrize("model", ["clears", "clears-of-rate"])
def test_the_sdks_retries_reach_an_upstream_that_has_recovered(gate: Running, sdk: type[Sync], model: str) -> None:
    assert sdk(gate.url, max_retries=2).call(chat(model)).choices[0].message.content == TEXT


def test_closing_a_stream_stops_the_upstream(gate: Running, sdk: type[Sync], provider: Any) -> None:
    async def asked(client: Any) -> None:
        stream = await client.chat.completions.create(model="slow", messages=HELLO, stream=True)
        await anext(stream)
        await stream.close()

    def ask(client: Any) -> None:
        stream = client.chat.completions.create(model="slow", messages=HELLO, stream=True)
        next(iter(stream))
        stream.close()

    sdk(gate.url).call(asked if sdk is Async else ask)
    assert provider.wait_until(lambda: provider.requests[0].hung_up is not None)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_cancelling_a_task_stops_the_upstream(gate: Running, provider: Any, stream: bool) -> None:
    async def main() -> None:
        async with AsyncOpenAI(base_url=gate.url, api_key="any", max_retries=0) as client:
            task = asyncio.create_task(
                client.chat.completions.create(model="slow", messages=HELLO, stream=stream)  # type: ignore[arg-type]
            )
            while not provider.requests:
                await asyncio.sleep(0.005)
            if stream:
                await task  # the head has come; what follows is abandoned with the client
            else:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(main())
    assert provider.wait_until(lambda: provider.requests[0].hung_up is not None)


def old_sdk(python: str | Path, gate: Running, routed: Running) -> list[str]:
    """Run the short form of these checks under some interpreter; the names of those that passed."""
    script = Path(__file__).with_name("old_sdk.py")
    done = subprocess.run(
        [python, "-I", script, gate.url, routed.url], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The interpreter of a new environment with one package."""
    made: dict[str, Path] = {}

    def make(package: str) -> Path:
        if package not in made:
            folder = tmp_path_factory.mktemp("sdk")
            venv.create(folder, with_pip=True)
            python = folder / "bin" / "python"
            install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
            done = subprocess.run(install, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{package} cannot be installed here")
            made[package] = python
        return made[package]

    return make


def test_the_short_form_passes_with_this_sdk_too(gate: Running, routed: Any, tmp_path: Path) -> None:
    passed = old_sdk(sys.executable, gate, routed(ledger=f"sqlite:///{tmp_path}/other.sqlite"))
    assert passed[0] == openai.__version__
    assert len(passed) == 15


@pytest.mark.integration
@pytest.mark.parametrize("package", PACKAGES)
def test_older_sdks_are_served_alike(
    gate: Running, routed: Any, tmp_path: Path, environment: Callable[[str], Path], package: str
) -> None:
    passed = old_sdk(environment(package), gate, routed(ledger=f"sqlite:///{tmp_path}/other.sqlite"))
    assert passed[0] == package.partition("==")[2]
    assert len(passed) == 15
