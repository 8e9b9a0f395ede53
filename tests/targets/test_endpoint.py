from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from forethought.core import DecodingPolicy, Question, Target
from forethought.errors import ConfigError, UpstreamError
from forethought.targets import EndpointResponder, Retry

KEY = "sk-very-secret"
QUESTIONS = [Question.ask(text) for text in ("one", "two", "three")]


class Server(ThreadingHTTPServer):
    """Echoes the question after giving the failures it was told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures: list[tuple[int, dict[str, str]]] = []
        self.seen: list[tuple[str, dict[str, Any], str | None]] = []
        self.reply: dict[str, Any] | None = None
        self.delay = 0.0
        self.active = self.most = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append((self.path, body, self.headers["Authorization"]))
            self.server.active += 1
            self.server.most = max(self.server.most, self.server.active)
            status, headers = self.server.failures.pop(0) if self.server.failures else (200, {})
        time.sleep(self.server.delay)
        with self.server.lock:
            self.server.active -= 1
        text = body["messages"][-1]["content"]
        reply = self.server.reply or {
            "choices": [{"message": {"content": f" {text}! "}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        }
        payload = json.dumps(reply if status == 200 else {"error": f"bad key {self.headers['Authorization']}"}).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(payload))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def responder(server: Server, **options: Any) -> EndpointResponder:
    policy = DecodingPolicy(system="Be brief.", temperature=0.5, top_p=0.9, max_tokens=9, effort="low")
    options = {"retry": Retry(attempts=3, base=0.01), "api_key": KEY, **options}
    return EndpointResponder(Target("t", "some-model", policy), base_url=server.url, **options)


def test_request_and_response(server: Server) -> None:
    answers = responder(server).respond(QUESTIONS, [0, 0, 0])
    assert [answer.text for answer in answers] == ["one!", "two!", "three!"]
    assert {(a.input_tokens, a.output_tokens, a.finish, a.mean_logprob) for a in answers} == {(7, 3, "length", None)}
    path, body, key = min(server.seen, key=lambda call: call[1]["messages"][-1]["content"])
    assert (path, key) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert body == {
        "model": "some-model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 9,
        "reasoning_effort": "low",
    }


def test_async_and_sync_agree_also_inside_a_running_loop(server: Server) -> None:
    async def both() -> tuple[list[str], list[str]]:
        awaited = await responder(server).arespond(QUESTIONS, [0, 0, 0])
        return [a.text for a in awaited], [a.text for a in responder(server).respond(QUESTIONS, [0, 0, 0])]

    awaited, called = asyncio.run(both())
    assert awaited == called == ["one!", "two!", "three!"]


def test_transient_failures_are_retried(server: Server) -> None:
    server.failures = [(503, {}), (429, {"Retry-After": "0.2"})]
    started = time.perf_counter()
    [answer] = responder(server).respond(QUESTIONS[:1], [0])
    assert answer.text == "one!"
    assert len(server.seen) == 3
    assert time.perf_counter() - started >= 0.2


@pytest.mark.parametrize(
    ("failures", "calls", "status"),
    [
        ([(500, {})] * 9, 3, 500),
        ([(401, {})] * 9, 1, 401),
        ([(429, {"Retry-After": "9999"})] * 9, 1, 429),
        ([(302, {"Location": "http://127.0.0.1:1/"})] * 9, 1, 302),
    ],
)
def test_giving_up_names_the_status_and_no_secret(server: Server, failures: list, calls: int, status: int) -> None:
    server.failures = failures
    with pytest.raises(UpstreamError, match=f"HTTP {status}") as caught:
        responder(server).respond(QUESTIONS[:1], [0])
    assert len(server.seen) == calls
    assert KEY not in str(caught.value) + repr(caught.value) + repr(responder(server))


def test_no_server_is_an_upstream_error() -> None:
    target = Target("t", "m")
    gone = EndpointResponder(target, base_url="http://127.0.0.1:9", retry=Retry(attempts=2, base=0))
    with pytest.raises(UpstreamError, match=r"ConnectError after 2 attempt"):
        gone.respond(QUESTIONS[:1], [0])


def test_a_slow_server_times_out(server: Server) -> None:
    server.delay = 0.5
    with pytest.raises(UpstreamError, match="ReadTimeout after 1"):
        responder(server, timeout=0.1, retry=Retry(attempts=1)).respond(QUESTIONS[:1], [0])


@pytest.mark.parametrize("reply", [{"choices": []}, {"choices": [{"message": {"content": "x"}}]}, {"usage": None}])
def test_other_json_is_an_upstream_error(server: Server, reply: dict[str, Any]) -> None:
    server.reply = reply
    with pytest.raises(UpstreamError, match="no chat completion with usage"):
        responder(server).respond(QUESTIONS[:1], [0])


def test_concurrency_is_bounded(server: Server) -> None:
    server.delay = 0.05
    responder(server, concurrency=2).respond([QUESTIONS[0]] * 8, [0] * 8)
    assert server.most == 2


@pytest.mark.parametrize("url", ["ftp://host/v1", "http://user:pass@host/v1", "host/v1", "http://host/v1?key=s"])
def test_urls_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url") as caught:
        EndpointResponder(Target("t", "m"), base_url=url)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    "policy", [DecodingPolicy(prompt="few_shot"), DecodingPolicy(votes=3, temperature=1.0)], ids=["few_shot", "votes"]
)
def test_policies_refused(policy: DecodingPolicy) -> None:
    with pytest.raises(ConfigError, match="target 't'"):
        EndpointResponder(Target("t", "m", policy), base_url="http://host")


def choices(*texts: Any) -> dict[str, Any]:
    messages = [{"message": {"content": text}, "finish_reason": "stop"} for text in texts]
    usage = {"prompt_tokens": 7, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 3}}
    return {"choices": messages, "usage": usage}


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        (choices("a", "bbbb", "c"), ["a", "bbbb", "c"]),
        (choices("a"), ["a"]),
        (choices("a", "b", "c", "d", "e"), ["a", "b", "c"]),
        (choices("", None, " "), ["", "", ""]),
    ],
    ids=["as asked", "ignores n", "more than asked", "empty"],
)
def test_several_answers_in_one_request(server: Server, reply: dict[str, Any], texts: list[str]) -> None:
    server.reply = reply
    answers = asyncio.run(responder(server).asample(QUESTIONS[0], 3))
    assert [answer.text for answer in answers] == texts
    assert [answer.input_tokens for answer in answers] == [7, 0, 0][: len(texts)]
    assert sum(answer.output_tokens for answer in answers) == 10
    assert sum(answer.cached_tokens for answer in answers) == 3
    assert {answer.estimated for answer in answers} == {len(texts) > 1}
    [(_, body, _)] = server.seen
    assert body["n"] == 3


def test_one_unreadable_answer_of_several_is_an_error_of_its_own(server: Server) -> None:
    server.reply = choices("a", "b")
    server.reply["choices"][0] = {"message": None}
    answers = asyncio.run(responder(server).asample(QUESTIONS[0], 2))
    assert [(answer.text, answer.finish) for answer in answers] == [("", "error"), ("b", "stop")]
    assert sum(answer.input_tokens for answer in answers) == 7


def test_sampling_is_retried_and_refused(server: Server) -> None:
    server.failures = [(429, {"Retry-After": "0"})]
    assert len(asyncio.run(responder(server).asample(QUESTIONS[0], 2))) == 1
    with pytest.raises(ConfigError, match="n must be >= 1"):
        asyncio.run(responder(server).asample(QUESTIONS[0], 0))
    server.reply = {"choices": [{}], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}
    with pytest.raises(UpstreamError, match="no chat completion with usage"):
        asyncio.run(responder(server).asample(QUESTIONS[0], 2))
