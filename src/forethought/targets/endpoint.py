"""Targets behind any OpenAI-compatible `/chat/completions`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from forethought.core import Question, Target
from forethought.errors import ConfigError, UpstreamError
from forethought.targets.base import Finish, Response, check_aligned
from forethought.targets.retry import Retry

_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length"}


class EndpointResponder:
    """Asks an OpenAI-compatible endpoint, several questions at a time.

    Redirects are not followed, so the key goes to `base_url` alone, and neither the key nor the body
    of an error (which may repeat it) appears in a message or a repr.

    Args:
        target: Whose answers these are; `target.model` is the name the endpoint knows.
        base_url: Up to and without `/chat/completions`, for instance `https://api.example.com/v1`.
        api_key: Sent as a bearer token.
        timeout: Of one request, seconds.
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
        async with self._client() as client:
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
            return _parse(reply, time.perf_counter() - started)

    async def _post(self, client: httpx2.AsyncClient, body: dict[str, Any]) -> httpx2.Response:
        attempt = 0
        while True:
            attempt += 1
            status, headers, reason = None, httpx2.Headers(), ""
            try:
                reply = await client.post(f"{self.base_url}/chat/completions", json=body)
                if reply.is_success:
                    return reply
                status, headers, reason = reply.status_code, reply.headers, f"HTTP {reply.status_code}"
            except httpx2.RequestError as error:
                reason = type(error).__name__
            wait = self.retry.wait(attempt, status, headers)
            if wait is None:
                raise UpstreamError(f"{self.target.name} at {self.base_url}: {reason} after {attempt} attempt(s)")
            await asyncio.sleep(wait)

    def _client(self) -> httpx2.AsyncClient:
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


def _parse(reply: httpx2.Response, seconds: float) -> Response:
    try:
        body = reply.json()
        choice, usage = body["choices"][0], body["usage"]
        text = choice["message"]["content"] or ""
        tokens = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UpstreamError(f"{reply.url} sent no chat completion with usage: {type(error).__name__}") from None
    return Response(str(text).strip(), *tokens, seconds, _FINISH.get(choice.get("finish_reason"), "error"))


def _check(target: Target, base_url: str, timeout: float, concurrency: int) -> None:
    url = httpx2.URL(base_url)
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query:
        raise ConfigError(f"base_url must be http(s)://host[:port]/path without user or query, got host {url.host!r}")
    if timeout <= 0 or concurrency < 1:
        raise ConfigError(f"timeout must be > 0 seconds and concurrency >= 1, got {timeout} and {concurrency}")
    if target.policy.prompt != "chat":
        raise ConfigError(f"target {target.name!r}: an endpoint takes chat prompts, got {target.policy.prompt!r}")
    if target.policy.votes > 1:
        raise ConfigError(f"target {target.name!r} has {target.policy.votes} votes: wrap it in MajorityResponder")
