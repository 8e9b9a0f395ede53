"""Targets behind any OpenAI-compatible `/chat/completions`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing
from itertools import pairwise
from typing import Any

import httpx2

from forethought.core import Question, Target
from forethought.errors import ConfigError, UpstreamError
from forethought.targets.base import Finish, Response, check_aligned
from forethought.targets.retry import Retry
from forethought.targets.streaming import FINISH, StreamedAnswer, Usage, estimated_prompt, read_usage


class EndpointResponder:
    """Asks an OpenAI-compatible endpoint, several questions at a time.

    Redirects are not followed, so the key goes to `base_url` alone, and neither the key nor the body
    of an error (which may repeat it) appears in a message or a repr.

    Args:
        target: Whose answers these are; `target.model` is the name the endpoint knows.
        base_url: Up to and without `/chat/completions`, for instance `https://api.example.com/v1`.
        api_key: Sent as a bearer token.
        timeout: Of one request, or of one silence in a stream, seconds.
        concurrency: Most requests under way at once.
        retry: Attempts and waits.
        transport: Replaces the network, for instance to add a proxy.

    Raises:
        ConfigError: A URL that is not plain http(s), or a policy an endpoint cannot follow.
    """

    def __init__(
        self,
        target: Target,
        *,
        base_url: str,
        api_key: str | None = None,
        timeout: float = 60.0,
        concurrency: int = 8,
        retry: Retry | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        _check(target, base_url, timeout, concurrency)
        self.target = target
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.concurrency = concurrency
        self.retry = retry or Retry()
        self._transport = transport
        self._api_key = api_key

    def __repr__(self) -> str:
        return f"EndpointResponder({self.target.name!r}, base_url={self.base_url!r})"

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        """Answer `questions[i]` as sample `samples[i]`; may also be called where an event loop runs.

        Raises:
            UpstreamError: An answer could not be had in the attempts allowed.
        """
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self.arespond(questions, samples))).result()

    async def arespond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        """Answer `questions[i]` as sample `samples[i]`.

        The endpoint's own randomness tells samples apart; their numbers are not sent.

        Raises:
            UpstreamError: An answer could not be had in the attempts allowed; requests under way are cancelled.
        """
        check_aligned(questions, samples)
        slots = asyncio.Semaphore(self.concurrency)
        async with self.open_client() as client:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._ask(client, slots, question)) for question in questions]
            except* UpstreamError as failures:
                raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _ask(self, client: httpx2.AsyncClient, slots: asyncio.Semaphore, question: Question) -> Response:
        body = self._body(question)
        async with slots:
            started = time.perf_counter()
            reply = await self._post(client, body)
            return _parse(reply, 1, time.perf_counter() - started)[0]

    async def asample(self, question: Question, n: int) -> list[Response]:
        """Ask for `n` answers in one request.

        The prompt is charged once, to the first answer. The endpoint counts the tokens of all answers
        together; each gets its share by length, marked as estimated where there are several.

        Returns:
            1 to `n` answers: an endpoint that ignores `n` gives fewer.

        Raises:
            ConfigError: `n` < 1.
            UpstreamError: No answer could be had in the attempts allowed.
        """
        if n < 1:
            raise ConfigError(f"n must be >= 1 answers, got {n}")
        async with self.open_client() as client:
            started = time.perf_counter()
            reply = await self._post(client, {**self._body(question), "n": n})
            return _parse(reply, n, time.perf_counter() - started)

    async def astream(
        self,
        question: Question,
        *,
        extra: Mapping[str, Any] | None = None,
        client: httpx2.AsyncClient | None = None,
    ) -> AsyncGenerator[str | Response, None]:
        """Answer once, token by token.

        Closing the iterator or cancelling the task that reads it closes the connection, so that the
        endpoint can stop generating. An answer that breaks off is not asked for again.

        Args:
            question: What to answer.
            extra: Fields added to the request.
            client: From `open_client`, to be shared by several answers; by default one of its own.

        Yields:
            Each token's text (empty where it is not shown), and last the whole answer. Its `finish` is
            `error` if the stream was cut or told no usage; its tokens are then estimated: one a delta, and
            the prompt by its characters unless the endpoint told it.

        Raises:
            UpstreamError: No answer began in the attempts allowed.
        """
        body = {**self._body(question), "stream": True, "stream_options": {"include_usage": True}, **(extra or {})}
        async with AsyncExitStack() as stack:
            if client is None:
                client = await stack.enter_async_context(self.open_client())
            started = time.perf_counter()
            reply = await self._post(client, body, stream=True)
            stack.push_async_callback(reply.aclose)
            if "json" in reply.headers.get("content-type", ""):  # an endpoint that ignores `stream`
                await reply.aread()
                [whole] = _parse(reply, 1, time.perf_counter() - started)
                yield whole.text
                yield whole
                return
            async with aclosing(self._read(reply, body)) as pieces:
                async for piece in pieces:
                    yield piece.response(time.perf_counter() - started) if isinstance(piece, StreamedAnswer) else piece

    async def _read(
        self, reply: httpx2.Response, body: Mapping[str, Any]
    ) -> AsyncGenerator[str | StreamedAnswer, None]:
        """The deltas of a stream, and last all of it."""
        answer = StreamedAnswer(estimated_prompt(body["messages"]))
        try:
            async for event in httpx2.EventSource(reply):
                delta = answer.feed(event.data)
                if delta is not None:
                    yield delta
                if answer.done:
                    break
        except (httpx2.RequestError, ValueError):
            answer.finish = None
        yield answer

    async def _post(
        self, client: httpx2.AsyncClient, body: Mapping[str, Any], *, stream: bool = False
    ) -> httpx2.Response:
        attempt = 0
        request = client.build_request("POST", f"{self.base_url}/chat/completions", json=body)
        while True:
            attempt += 1
            status, headers, reason = None, httpx2.Headers(), ""
            try:
                reply = await client.send(request, stream=stream)
                if reply.is_success:
                    return reply
                await reply.aclose()
                status, headers, reason = reply.status_code, reply.headers, f"HTTP {reply.status_code}"
            except httpx2.RequestError as error:
                reason = type(error).__name__
            wait = self.retry.wait(attempt, status, headers)
            if wait is None:
                raise UpstreamError(f"{self.target.name} at {self.base_url}: {reason} after {attempt} attempt(s)")
            await asyncio.sleep(wait)

    def open_client(self) -> httpx2.AsyncClient:
        """A client for several answers in one event loop: enter it with `async with`."""
        headers = {} if self._api_key is None else {"Authorization": f"Bearer {self._api_key}"}
        return httpx2.AsyncClient(timeout=self.timeout, transport=self._transport, headers=headers)

    def _body(self, question: Question) -> dict[str, Any]:
        policy = self.target.policy
        system = [] if policy.system is None else [{"role": "system", "content": policy.system}]
        body: dict[str, Any] = {
            "model": self.target.model,
            "messages": [*system, *({"role": turn.role, "content": turn.content} for turn in question.messages)],
            "temperature": policy.temperature,
            "top_p": policy.top_p,
            "max_tokens": policy.max_tokens,
        }
        return body if policy.effort is None else {**body, "reasoning_effort": policy.effort}


def _parse(reply: httpx2.Response, n: int, seconds: float) -> list[Response]:
    """The answers of a reply, `n` at most; one that cannot be read is an `error` unless none can."""
    try:
        body = reply.json()
        usage = read_usage(body["usage"])
        choices = [_read_choice(choice) for choice in body["choices"][:n]]
        known = [choice for choice in choices if choice is not None]
        if not known:
            raise IndexError("no choice with a message")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise UpstreamError(f"{reply.url} sent no chat completion with usage: {type(error).__name__}") from None
    answers = [choice or ("", "error") for choice in choices]
    parts = _shares(usage, [text for text, _ in answers])
    return [
        Response(text, part.input, part.output, seconds / len(answers), finish, None, part.cached, len(answers) > 1)
        for (text, finish), part in zip(answers, parts, strict=True)
    ]


def _read_choice(choice: Any) -> tuple[str, Finish] | None:
    try:
        text = str(choice["message"]["content"] or "").strip()
        return text, FINISH.get(choice.get("finish_reason"), "error")
    except (KeyError, TypeError, AttributeError):
        return None


def _shares(usage: Usage, texts: Sequence[str]) -> list[Usage]:
    """A request's tokens among its answers: the prompt to the first, the rest by length, in sum exact."""
    lengths = [len(text) + 1 for text in texts]
    bounds = [usage.output * sum(lengths[:i]) // sum(lengths) for i in range(len(texts) + 1)]
    outputs = [end - start for start, end in pairwise(bounds)]
    return [Usage(usage.input, outputs[0], usage.cached), *(Usage(0, output) for output in outputs[1:])]


def _check(target: Target, base_url: str, timeout: float, concurrency: int) -> None:
    url = httpx2.URL(base_url)
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query:
        raise ConfigError(f"base_url must be http(s)://host[:port]/path without user or query, got host {url.host!r}")
    if timeout <= 0 or concurrency < 1:
        raise ConfigError(f"timeout must be > 0 seconds and concurrency >= 1, got {timeout} and {concurrency}")
    if target.policy.prompt != "chat":
        raise ConfigError(f"target {target.name!r}: an endpoint takes chat prompts, got {target.policy.prompt!r}")
    if target.policy.votes > 1:
        raise ConfigError(f"target {target.name!r} has {target.policy.votes} votes: wrap it in VotingResponder")
