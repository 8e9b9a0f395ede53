from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forethought.core import DecodingPolicy, Question, Target
from forethought.gateway.base import LOCAL, Account, ClientRequest, Plan
from forethought.gateway.config import GatewayConfig
from forethought.gateway.execution import Executor, upstreams_of
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams import Failover, UpstreamFailure, UpstreamRequest
from forethought.gateway.upstreams.local import LocalUpstream
from forethought.gateway.upstreams.local_engine import LocalEngine, shared_model
from forethought.models import LanguageModel
from forethought.targets import LocalResponder
from forethought.targets.pool import PoolEntry

EXAMPLES = {
    "sums": [Question.ask("What is 1 + 1?", answers=("2",)), Question.ask("What is 2 + 3?", answers=("5",))],
    "capitals": [Question.ask("Capital of Peru?", answers=("Lima",)), Question.ask("Capital of Chad?", answers=("N",))],
}
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> LanguageModel:
    from forethought.models import load

    return load(tiny_model)


Make = Callable[..., LocalUpstream]


@pytest.fixture
def make(tiny: LanguageModel) -> Any:
    engines: list[LocalEngine] = []

    def build(**policy: Any) -> LocalUpstream:
        engines.append(LocalEngine())
        entry = PoolEntry(name="t", model="tiny", policy=DecodingPolicy(**{"max_tokens": 12, **policy}))
        return LocalUpstream(entry, engines[-1], EXAMPLES, load=lambda source: tiny)

    yield build
    for engine in engines:
        engine.close()


def ask(upstream: LocalUpstream, *, path: str = "/chat/completions", **body: Any) -> tuple[int, bytes]:
    """The status and body of a request."""
    if path == "/chat/completions":
        body = {"messages": HI, **body}

    async def work() -> tuple[int, bytes]:
        request = UpstreamRequest(path, json.dumps(body).encode(), body.get("stream", False))
        reply = await upstream.open(request)
        return reply.status, b"".join([chunk async for chunk in reply.chunks()])

    return asyncio.run(work())


def whole(upstream: LocalUpstream, **body: Any) -> Any:
    status, read = ask(upstream, **body)
    assert status == 200, read
    return json.loads(read)


def streamed(upstream: LocalUpstream, **body: Any) -> list[Any]:
    status, read = ask(upstream, stream=True, **body)
    lines = [line.removeprefix("data: ") for line in read.decode().split("\n\n") if line]
    assert (status, lines[-1]) == (200, "[DONE]")
    return [json.loads(line) for line in lines[:-1]]


def text_of(chunks: list[Any]) -> str:
    return "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])


def test_a_whole_answer_is_the_targets_own(make: Make, tiny: LanguageModel) -> None:
    policy = DecodingPolicy(max_tokens=12, system="Be brief.")
    [own] = LocalResponder(tiny, Target("t", "tiny", policy)).respond([Question.ask("Hi")], [0])
    answer = whole(make(system="Be brief."))
    [choice] = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (own.text, own.finish)
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (
        own.input_tokens,
        own.output_tokens,
    )
    assert answer["model"] == "tiny"


@pytest.mark.parametrize("policy", [{}, {"prompt": "few_shot", "shots": 2}])
@pytest.mark.parametrize("seed", range(6))
def test_a_streamed_answer_is_the_whole_one(make: Make, policy: Any, seed: int) -> None:
    upstream = make(**policy, temperature=1.5, max_tokens=40)
    chunks = streamed(upstream, seed=seed)
    [choice] = whole(upstream, seed=seed)["choices"]
    assert text_of(chunks) == choice["message"]["content"]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == choice["finish_reason"]
    assert chunks[-1]["usage"]["completion_tokens"] > 0


def test_usage_is_an_event_of_its_own_for_who_asks(make: Make) -> None:
    chunks = streamed(make(), stream_options={"include_usage": True})
    assert (chunks[-1]["choices"], "usage" in chunks[-2]) == ([], False)
    assert chunks[-1]["usage"]["total_tokens"] == sum(
        chunks[-1]["usage"][k] for k in ("prompt_tokens", "completion_tokens")
    )


def test_a_text_completion_is_the_users_turn(make: Make) -> None:
    upstream = make()
    [choice] = whole(upstream, path="/completions", prompt="Hi")["choices"]
    assert choice["text"] == whole(upstream)["choices"][0]["message"]["content"]
    assert "message" not in choice


def test_the_requests_own_limits_win(make: Make) -> None:
    upstream = make(temperature=0.0)
    assert whole(upstream, max_tokens=3)["usage"]["completion_tokens"] == 3
    assert whole(upstream, max_completion_tokens=2)["usage"]["completion_tokens"] == 2
    warm = {whole(upstream, temperature=2, seed=seed)["choices"][0]["message"]["content"] for seed in range(4)}
    assert len(warm) == 4
    one, again = (whole(upstream, temperature=2, seed=1) for _ in range(2))
    assert one["choices"] == again["choices"]
    assert len({whole(upstream, temperature=2)["choices"][0]["message"]["content"] for _ in range(4)}) > 1


def test_a_stop_string_ends_the_answer_before_it(make: Make) -> None:
    upstream = make(max_tokens=40, temperature=1.0)
    full = whole(upstream, seed=5)["choices"][0]["message"]["content"]
    stop = full[6:8]
    cut = whole(upstream, seed=5, stop=[stop, "never"])
    assert cut["choices"][0]["message"]["content"] == full[: full.index(stop)].strip()
    assert cut["choices"][0]["finish_reason"] == "stop"
    assert text_of(streamed(upstream, seed=5, stop=stop)) == cut["choices"][0]["message"]["content"]
    assert cut["usage"]["completion_tokens"] < 40


def test_all_turns_are_read(make: Make, tiny: LanguageModel) -> None:
    turns = [*HI, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": [{"type": "text", "text": "?"}]}]
    answer = whole(make(), messages=turns)
    written = "<s>user\nHi</s>\n<s>assistant\nHo</s>\n<s>user\n?</s>\n<s>assistant\n"
    assert answer["usage"]["prompt_tokens"] == len(tiny.tokenizer(written, add_special_tokens=False)["input_ids"])


def test_a_few_shot_target_is_shown_the_examples_that_look_most_like_the_question(make: Make) -> None:
    upstream = make(prompt="few_shot", shots=2)
    prepared = upstream.prepare("/chat/completions", {"messages": [{"role": "user", "content": "Capital of Mali?"}]})
    shown = upstream.responder.model.tokenizer.decode(prepared.prompt.ids)
    assert "Capital of Peru?" in shown
    assert "1 + 1" not in shown
    assert shown.endswith("Q: Capital of Mali?\nA:")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"messages": [{"role": "user", "content": "x" * 600}]}, "context_length_exceeded"),
        ({"messages": [{"role": "user", "content": "x" * 10_000_000}]}, "context_length_exceeded"),
        ({"max_tokens": 10**9}, "context_length_exceeded"),
        ({"tools": [{"type": "function"}]}, "invalid_value"),
        ({"logprobs": True}, "invalid_value"),
        ({"n": 2}, "invalid_value"),
        ({"response_format": {"type": "json_object"}}, "invalid_value"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "invalid_value"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "invalid_value"),
        ({"messages": []}, "invalid_value"),
        ({"temperature": -1}, "invalid_value"),
        ({"temperature": 10**400}, "invalid_value"),
        ({"top_p": 0}, "invalid_value"),
        ({"top_p": "1"}, "invalid_value"),
        ({"max_tokens": 0}, "invalid_value"),
        ({"max_tokens": 1.5}, "invalid_value"),
        ({"stop": [""]}, "invalid_value"),
        ({"stop": 3}, "invalid_value"),
        ({"seed": "x"}, "invalid_value"),
        ({"path": "/completions", "prompt": ["a", "b"]}, "invalid_value"),
        ({"path": "/completions", "prompt": [1, 2]}, "invalid_value"),
    ],
)
def test_what_cannot_be_followed_is_a_400_of_the_api(make: Make, body: dict[str, Any], code: str) -> None:
    status, read = ask(make(), **body)
    error = json.loads(read)["error"]
    assert (status, error["code"], error["type"]) == (400, code, "invalid_request_error")
    assert "xxxxxx" not in error["message"]


def test_few_shot_targets_refuse_what_they_would_cut(make: Make) -> None:
    status, read = ask(make(prompt="few_shot", shots=2), messages=[{"role": "user", "content": "x" * 480}])
    assert (status, json.loads(read)["error"]["code"]) == (400, "context_length_exceeded")


def test_other_paths_are_not_served(make: Make) -> None:
    assert ask(make(), path="/embeddings", input="x")[0] == 404


def test_a_model_that_is_not_there_is_a_failed_connection() -> None:
    entry = PoolEntry(name="t", model="no-such-model")
    upstream = LocalUpstream(entry, LocalEngine(), {}, load=shared_model)
    with pytest.raises(UpstreamFailure, match="no-such-model") as caught:
        ask(upstream)
    assert caught.value.kind == "connect"
    asyncio.run(upstream.aclose())


class Steps:
    """Counts the model's own steps, and makes each take a while."""

    def __init__(self, upstream: LocalUpstream, pause: float) -> None:
        self.count = 0
        self.threads: set[str] = set()
        inner = upstream.responder.generator._stops

        def stops(token: int) -> bool:
            self.count += 1
            self.threads.add(threading.current_thread().name)
            time.sleep(pause)
            return inner(token) and False

        upstream.responder.generator._stops = stops


def test_tokens_are_handed_over_as_they_come(make: Make) -> None:
    upstream = make(max_tokens=30)
    steps = Steps(upstream, 0.005)

    async def work() -> list[int]:
        reply = await upstream.open(UpstreamRequest("/chat/completions", json.dumps({"messages": HI}).encode(), True))
        return [steps.count async for _ in reply.chunks()]

    counts = asyncio.run(work())
    assert counts[0] < 10
    assert sorted(counts) == counts
    assert len(set(counts)) > 8
    assert len(steps.threads) == 1


@pytest.mark.parametrize("close", [True, False])
def test_a_client_that_hangs_up_ends_the_generation_at_its_next_token(make: Make, close: bool) -> None:
    upstream = make(max_tokens=200)
    steps = Steps(upstream, 0.005)

    async def work() -> tuple[int, int]:
        reply = await upstream.open(UpstreamRequest("/chat/completions", json.dumps({"messages": HI}).encode(), True))
        chunks = reply.chunks()
        await anext(chunks)
        if close:
            await reply.aclose()
        else:
            task = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        seen = steps.count
        await asyncio.sleep(0.1)
        return seen, steps.count

    seen, later = asyncio.run(work())
    assert later <= seen + 1


def test_a_long_answer_does_not_hold_up_a_short_one(make: Make) -> None:
    upstream = make()
    Steps(upstream, 0.002)

    async def timed(limit: int) -> float:
        body = json.dumps({"messages": HI, "max_tokens": limit}).encode()
        reply = await upstream.open(UpstreamRequest("/chat/completions", body))
        _ = [chunk async for chunk in reply.chunks()]
        return time.perf_counter()

    async def work() -> tuple[float, float]:
        long = asyncio.create_task(timed(100))
        await asyncio.sleep(0.02)
        return await asyncio.gather(long, timed(4))

    long, short = asyncio.run(work())
    assert short < long - 0.05


def request(**body: Any) -> ClientRequest:
    whole = {"model": "forethought", "messages": HI, **body}
    return ClientRequest("r", "/chat/completions", json.dumps(whole).encode(), whole, LOCAL)


def executor(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch, **target: Any) -> Executor:
    monkeypatch.setattr("forethought.gateway.upstreams.local_engine._loaded", {"tiny": tiny})
    entry = {"name": "t", "model": "tiny", "prices": {"input": 1, "output": 1}, **target}
    config = GatewayConfig.model_validate({"target": [entry]})
    return Executor(config, upstreams_of(config), Failover(config.timeouts, config.retries, config.breaker))


def plan() -> Plan:
    from forethought.core import Decision

    return Plan(("t",), Decision("t", (), "argmax", {}, ""))


VOTING = {"policy": {"votes": 5, "temperature": 0.9, "max_tokens": 8}}


@pytest.mark.parametrize(
    "target", [VOTING, {"policy": {"max_tokens": 8}, "vote": {"rule": "confidence_weighted", "setting": {"cap": 5}}}]
)
def test_a_local_target_votes(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch, target: Any) -> None:
    account = Account()
    made = executor(tiny, monkeypatch, **target)
    delivery = asyncio.run(made.deliver(request(seed=1), plan(), account))
    [attempt] = account.attempts
    answer = json.loads(delivery.body or b"")
    votes = int(delivery.headers["x-forethought-votes"])
    assert 1 < votes <= 5
    assert attempt.input_tokens == answer["usage"]["prompt_tokens"] == votes * 21
    assert votes <= attempt.output_tokens <= votes * 8
    assert (delivery.target, account.ending) == ("t", "ok")
    assert account.cost <= made.reserve(request(seed=1), plan())


def test_a_local_vote_that_cannot_be_taken_is_refused(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    made = executor(tiny, monkeypatch, **VOTING)
    delivery = asyncio.run(made.deliver(request(max_tokens=10**6), plan(), account))
    assert (delivery.status, account.ending, account.cost) == (400, "refused", 0)


def test_a_local_vote_ends_when_the_client_hangs_up(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    made = executor(tiny, monkeypatch, policy={"votes": 50, "temperature": 0.9, "max_tokens": 400})

    async def work() -> tuple[int, float]:
        task = asyncio.create_task(made.deliver(request(), plan(), account))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        started = time.perf_counter()
        await made._upstreams["t"].engine.run(lambda: None)  # type: ignore[attr-defined]
        return account.attempts[0].output_tokens, time.perf_counter() - started

    tokens, seconds = asyncio.run(work())
    assert 0 < tokens < 50 * 400
    assert seconds < 0.3
    assert account.attempts[0].estimated


def test_a_local_target_without_weights_is_a_problem(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    made = executor(tiny, monkeypatch, **VOTING)
    monkeypatch.setattr("forethought.gateway.upstreams.local_engine._loaded", {})
    with pytest.raises(Problem) as caught:
        asyncio.run(made.deliver(request(), plan(), Account()))
    assert caught.value.status == 503


@pytest.mark.integration
def test_the_embedded_model_answers_and_is_loaded_once() -> None:
    entry = {"name": "t", "model": "smollm2-135m-instruct", "policy": {"max_tokens": 12}}
    config = GatewayConfig.model_validate({"target": [entry]})
    [upstream] = upstreams_of(config).values()
    assert isinstance(upstream, LocalUpstream)
    chunks = streamed(upstream, messages=[{"role": "user", "content": "What is the capital of France?"}])
    assert "Paris" in text_of(chunks)
    assert len(chunks) > 5
    assert upstream.responder.model is shared_model("smollm2-135m-instruct")
    asyncio.run(upstream.aclose())
