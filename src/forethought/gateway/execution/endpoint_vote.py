"""Votes of targets behind an endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json, to_json

from forethought.core import Prices, Question, Target
from forethought.errors import UpstreamError
from forethought.gateway.base import Account, ClientRequest, Delivery
from forethought.gateway.execution.ballots import TEMPERATURE, Manner, VoteFailed
from forethought.gateway.execution.request_body import last_text, routed_body, streamed
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams.base import Upstream, UpstreamFailure
from forethought.gateway.upstreams.events import EventSplitter, data_of
from forethought.gateway.upstreams.failover import Failover
from forethought.gateway.upstreams.rung import Rung
from forethought.gateway.upstreams.usage import guessed_prompt
from forethought.targets.base import Response
from forethought.targets.pool import PoolEntry
from forethought.targets.streaming import StreamedAnswer, Usage
from forethought.voting.parallel import ParallelSampler
from forethought.voting.voted import VotedAnswer


@dataclass(frozen=True, slots=True)
class EndpointVoter:
    """Votes over answers streamed side by side, each with the retries and breakers of any other request.

    Attributes:
        entry: The target.
        manner: How it votes.
        upstream: Who answers.
        prices: Of its tokens.
        failover: Asks.
    """

    entry: PoolEntry
    manner: Manner
    upstream: Upstream
    prices: Prices | None
    failover: Failover

    @property
    def cap(self) -> int:
        """Most answers drawn."""
        return self.manner.rule.cap

    async def vote(self, request: ClientRequest, account: Account, bound: int = 0) -> VotedAnswer:
        """Vote on one request; see `Voter.vote`."""
        answers = _Answers(self, request, account, bound)
        sampler = ParallelSampler(answers, self.manner.rule, answers.read, width=self.manner.width)
        try:
            return await sampler.answer(answers.question)
        except UpstreamError as error:
            problem = answers.problem or Problem(502, f"no vote could be had: {error}", code="upstream_unavailable")
            raise VoteFailed(problem, answers.refused) from None


class _Answers:
    """One vote's answers, as `ParallelSampler` draws them."""

    def __init__(self, voter: EndpointVoter, request: ClientRequest, account: Account, bound: int) -> None:
        entry = voter.entry
        self._voter, self._request, self._account, self._bound = voter, request, account, bound
        self._body = routed_body(request, entry)
        temperature = self._body.get("temperature")
        if temperature == 0:
            temperature = self._body["temperature"] = TEMPERATURE
        told = temperature if isinstance(temperature, int | float) and temperature > 0 else TEMPERATURE
        self.target = Target(entry.name, entry.model, replace(entry.policy, temperature=told, votes=1, prompt="chat"))
        self.question = Question.ask(last_text(request) or "", id=request.id)
        self.problem: Problem | None = None
        self.refused: Delivery | None = None
        self._asked = 0
        self._known: dict[str, str | None] = {}

    def read(self, question: Question, text: str) -> str | None:
        """What a text is compared by."""
        return self._known[text] if text in self._known else self._voter.manner.grader.extract(question, text)

    @asynccontextmanager
    async def open_client(self) -> AsyncIterator[None]:
        """Connections are the upstream's own."""
        yield

    async def astream(self, question: Question, *, client: Any) -> AsyncGenerator[str | Response, None]:
        """One answer, as `EndpointResponder.astream` gives it."""
        started = time.perf_counter()
        rung = self._rung()
        delivery = await self._deliver(rung)
        answer = StreamedAnswer(guessed_prompt(rung.request.body))
        pieces = delivery.pieces or _only(delivery.body or b"")
        async with aclosing(pieces), aclosing(self._deltas(pieces, answer)) as deltas:
            async for delta in deltas:
                yield delta
        response = answer.response(time.perf_counter() - started)
        # Reading an answer may take a while, so it is done beside the event loop.
        self._known[response.text] = await asyncio.to_thread(self._voter.manner.grader.extract, question, response.text)
        yield response

    async def _deliver(self, rung: Rung) -> Delivery:
        try:
            delivery = await self._voter.failover.deliver((rung,), self._account)
        except Problem as problem:
            self.problem = problem
            raise UpstreamError(problem.message) from None
        if delivery.status >= 400:
            self.refused = delivery
            raise UpstreamError(f"{rung.target} refused: HTTP {delivery.status}")
        return delivery

    async def _deltas(self, pieces: AsyncGenerator[bytes, None], answer: StreamedAnswer) -> AsyncGenerator[str, None]:
        """The tokens' texts; whether the answer came to its end is in its `finish`."""
        splitter, finish = EventSplitter(), None
        try:
            async for piece in pieces:
                for event in splitter.feed(piece):
                    data = data_of(event)
                    delta = answer.feed(_as_chunk(data)) if data else None
                    if delta is not None:
                        yield delta
            finish = answer.finish or "stop"
        except (UpstreamFailure, ValueError):
            pass
        answer.finish = finish
        answer.usage = answer.usage or Usage(answer.prompt_tokens, answer.tokens)

    def _rung(self) -> Rung:
        body, seed = self._body, self._body.get("seed")
        if isinstance(seed, int):
            body = {**body, "seed": seed + self._asked}  # one seed would draw one answer again and again
        self._asked += 1
        voter = self._voter
        asked = streamed(self._request, body)
        return Rung(voter.entry.name, voter.upstream, asked, voter.prices, voter.entry.context, self._bound)


async def _only(body: bytes) -> AsyncGenerator[bytes, None]:
    """The whole answer of an upstream that does not stream, as the one event of a stream."""
    yield b"data: " + body.replace(b"\n", b" ") + b"\n\n"


def _as_chunk(data: bytes) -> str:
    """A chunk of a chat, made of a text completion's or of a whole completion.

    Raises:
        ValueError: It is neither.
    """
    chunk = from_json(data)
    try:
        for choice in chunk["choices"]:
            choice.setdefault("delta", choice.get("message") or {"content": choice.get("text")})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no chunk of a completion: {type(error).__name__}") from None
    return to_json(chunk).decode()
