"""Voting with several streamed answers in flight, cancelled once the rule is content."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from typing import Any, Protocol

from forethought.core import Question, Target
from forethought.errors import ConfigError, UpstreamError
from forethought.targets.base import Response
from forethought.targets.streaming import tokens_in
from forethought.voting.base import Same, StoppingRule
from forethought.voting.voted import Extract, RuleFor, Vote, VotedAnswer, VoteEvent, refuse_greedy, result_of, rule_for


class StreamingResponder(Protocol):
    """Streams the answers of one target, as `targets.EndpointResponder` does."""

    target: Target

    def open_client(self) -> AbstractAsyncContextManager[Any]:
        """What several answers in one event loop share; entered with `async with`."""

    def astream(self, question: Question, *, client: Any) -> AsyncGenerator[str | Response, None]:
        """Answer once: each token's text, and last the whole answer; closing the iterator ends the answer.

        Raises:
            UpstreamError: No answer began.
        """


class ParallelSampler:
    """Votes over answers drawn side by side.

    Answers end at different times, and short ones first: a rule that counted them as they end would hear
    too many short ones. Here answer k counts only once 0 ... k-1 have, and answer k is only asked for once
    answer k - width has been counted, so that at most `width` are in flight and fewer than `width` wasted;
    answers that are already there are counted before any other is asked for.
    At the stop those in flight are cancelled, which closes their connections, and charged: their prompt as
    their siblings', and what had streamed. An answer that fails is no vote, but counts towards the cap.

    Args:
        endpoint: Streams the answers, at a temperature above 0.
        rule: When to stop, or a callable that gives the rule of each question.
        extract: Reads the answer to compare by out of a text, None where there is none.
        width: Most answers in flight.
        same: Which answers are one vote besides those of equal text.

    Raises:
        ConfigError: A width below 1, or a policy at temperature 0 (its answers would all be equal).
    """

    def __init__(
        self,
        endpoint: StreamingResponder,
        rule: StoppingRule | RuleFor,
        extract: Extract,
        *,
        width: int = 4,
        same: Same | None = None,
    ) -> None:
        if width < 1:
            raise ConfigError(f"width must be >= 1 answers in flight, got {width}")
        refuse_greedy(endpoint.target)
        self.endpoint = endpoint
        self.rule = rule
        self.extract = extract
        self.width = width
        self.same = same

    async def answer(self, question: Question) -> VotedAnswer:
        """Vote on one question.

        Raises:
            UpstreamError: No answer could be had at all.
        """
        return await result_of(self.votes(question))

    async def votes(self, question: Question) -> AsyncGenerator[VoteEvent, None]:
        """Vote on one question, event by event; closing the iterator cancels what is in flight.

        Yields:
            Each vote as it is counted, and last the result.

        Raises:
            UpstreamError: No answer could be had at all.
        """
        vote = Vote(question, rule_for(self.rule)(question), self.extract, self.same)
        flights: list[_Flight] = []
        async with self.endpoint.open_client() as client:
            try:
                while vote.open:
                    if vote.drawn == len(flights) or not flights[vote.drawn].task.done():
                        self._start(vote, flights, client)
                    flight = flights[vote.drawn]
                    await flight.task
                    if (event := vote.take(flight.charged())) is not None:
                        yield event
            finally:
                await _cancel(flights)
        if not vote.read:
            raise self._nothing(question, flights)
        rounds = max(flight.depth for flight in flights[: vote.drawn])
        _settle(vote, flights)
        result = vote.result(rounds)
        yield VoteEvent(len(vote.read), result.answer, result.verdict, result)

    def _start(self, vote: Vote, flights: list[_Flight], client: Any) -> None:
        """Ask for as many more answers as may be ahead of the vote."""
        ahead = min(vote.rule.cap, vote.drawn + self.width)
        depth = 1 + (flights[vote.drawn - 1].depth if vote.drawn else 0)
        flights += [_Flight(self.endpoint, vote.question, client, depth) for _ in range(len(flights), ahead)]

    def _nothing(self, question: Question, flights: Sequence[_Flight]) -> UpstreamError:
        spent = sum(flight.charged().output_tokens for flight in flights)
        return UpstreamError(
            f"all {len(flights)} answers of {self.endpoint.target.name} to question {question.id!r} failed, "
            f"{spent} output tokens spent; the last: {flights[-1].failure}"
        )


class _Flight:
    """One answer on its way; `depth` is the length of the longest chain of answers that waited for each other."""

    def __init__(self, endpoint: StreamingResponder, question: Question, client: Any, depth: int) -> None:
        self.depth = depth
        self.tokens = 0
        self.response: Response | None = None
        self.failure = ""
        self.started = self.ended = time.perf_counter()
        self.task = asyncio.create_task(self._run(endpoint, question, client))

    async def _run(self, endpoint: StreamingResponder, question: Question, client: Any) -> None:
        try:
            async with aclosing(endpoint.astream(question, client=client)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Response):
                        self.response = piece
                    else:
                        self.tokens += tokens_in(piece)
        except UpstreamError as error:
            self.failure = str(error)
        finally:
            self.ended = time.perf_counter()
        if self.response is not None and self.response.finish == "error":
            self.failure = f"the stream was cut after {self.response.output_tokens} tokens or told no usage"

    def charged(self) -> Response:
        """The answer, or what is owed for the one that never came; its prompt is not known then."""
        if self.response is not None:
            return self.response
        return Response("", 0, self.tokens, self.ended - self.started, "error", estimated=not self.failure)


async def _cancel(flights: Sequence[_Flight]) -> None:
    """End what is still on its way, and wait until its connections are closed."""
    for flight in flights:
        flight.task.cancel()
    await asyncio.gather(*(flight.task for flight in flights), return_exceptions=True)


def _settle(vote: Vote, flights: Sequence[_Flight]) -> None:
    """Charge what was never read, and prompts that nobody counted as those of their siblings."""
    for flight in flights[vote.drawn :]:
        (vote.failed if flight.failure else vote.wasted).append(flight.charged())
    prompt = max(answer.input_tokens for answer in vote.read)
    for answers in (vote.failed, vote.wasted):
        answers[:] = [replace(answer, input_tokens=prompt) if answer.estimated else answer for answer in answers]
