from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from forethought.core import DecodingPolicy, Question, Target
from forethought.errors import ConfigError, UpstreamError
from forethought.targets import EndpointResponder, Retry
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.parallel import ParallelSampler
from forethought.voting.sequential_vote import SequentialVote
from forethought.voting.voted import VotedAnswer, VoteEvent

QUESTION = Question.ask("Which one?", id="q")


def extract(question: Question, text: str) -> str | None:
    return text.split()[-1] if text else None


@pytest.fixture
def sampler(sse: Any) -> Callable[..., ParallelSampler]:
    def make(rule: Any, **options: Any) -> ParallelSampler:
        target = Target("t", "m", DecodingPolicy(temperature=1.0))
        endpoint = EndpointResponder(target, base_url=sse.url, retry=Retry(attempts=2, base=0.01))
        return ParallelSampler(endpoint, rule, extract, **options)

    return make


def vote(sampler: ParallelSampler) -> tuple[list[VoteEvent], VotedAnswer]:
    async def run() -> list[VoteEvent]:
        return [event async for event in sampler.votes(QUESTION)]

    *events, last = asyncio.run(run())
    assert last.result is not None
    assert all(event.result is None for event in events)
    return events, last.result


def test_votes_come_in_order_and_add_up(sse: Any, script: Any, sampler: Callable[..., ParallelSampler]) -> None:
    sse.scripts = [script("it is 4"), script("5"), script(""), script("so 4"), script("4")]
    events, result = vote(sampler(MajorityVote(5), width=2))
    assert [(event.number, event.answer) for event in events] == [(0, "4"), (1, "5"), (2, None), (3, "4"), (4, "4")]
    assert [event.verdict.stop for event in events] == [False, False, False, False, True]
    assert (result.answer, result.response.text) == ("4", "it is 4")
    spent = result.spent
    assert (spent.samples, spent.rounds, spent.failed, spent.wasted_samples, spent.estimated) == (5, 3, 0, 0, False)
    assert (spent.input_tokens, spent.output_tokens) == (55, 4 + 2 + 1 + 3 + 2)
    assert sse.most <= 2


def test_fast_wrong_answers_do_not_decide(sse: Any, script: Any, sampler: Callable[..., ParallelSampler]) -> None:
    slow, fast = script("long and slow and 4", pause=0.05), script("5")
    sse.scripts = [slow, fast, slow, fast]
    _, result = vote(sampler(SequentialVote(4, 2), width=4))
    assert (result.answer, result.ballot.answers) == ("4", ("4", "5", "4"))
    assert (result.spent.samples, result.spent.wasted_samples, result.spent.wasted_tokens) == (4, 1, 2)
    assert not result.spent.estimated


def test_what_is_in_flight_at_the_stop_is_cancelled_and_charged(
    sse: Any, script: Any, sampler: Callable[..., ParallelSampler]
) -> None:
    endless = script(" ".join("x" * 2000), pause=0.01)
    sse.scripts = [script("a b c 4", pause=0.05), script("4"), endless, endless]
    _, result = vote(sampler(SequentialVote(8, 2), width=4))
    assert result.answer == "4"
    assert sse.wait_gone(2)
    assert set(sse.gone) == {2, 3}
    spent = result.spent
    assert (spent.samples, spent.wasted_samples, spent.failed, spent.estimated) == (4, 2, 0, True)
    assert spent.input_tokens == 4 * 11
    assert 0 < spent.wasted_tokens <= sum(sse.gone.values())
    assert spent.output_tokens == 5 + 2 + spent.wasted_tokens


def test_leaving_early_hangs_up(sse: Any, script: Any, sampler: Callable[..., ParallelSampler]) -> None:
    sse.scripts = [script("4"), script(" ".join("x" * 2000), pause=0.01)]

    async def leave() -> None:
        async with aclosing(sampler(MajorityVote(8), width=4).votes(QUESTION)) as events:
            await anext(events)

    asyncio.run(leave())
    assert sse.wait_gone(len(sse.sent) - 1)
    assert len(sse.bodies) <= 4


def test_cancelling_the_caller_hangs_up(sse: Any, script: Any, sampler: Callable[..., ParallelSampler]) -> None:
    sse.scripts = [script(" ".join("x" * 2000), pause=0.01)]

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sampler(MajorityVote(3), width=3).answer(QUESTION), 0.2)

    asyncio.run(cancelled())
    assert sse.wait_gone(3)


def test_failures_are_recorded_and_the_vote_goes_on(
    sse: Any, script: Any, sampler: Callable[..., ParallelSampler]
) -> None:
    gone = script(status=400)
    sse.scripts = [script("4"), gone, script("x y z", cut=2), script("5", usage=None), script("4")]
    events, result = vote(sampler(SequentialVote(5, 3), width=1))
    assert [event.answer for event in events] == ["4", "4"]
    assert (result.answer, result.verdict.consensus, result.verdict.stop) == ("4", False, True)
    assert result.verdict.reason == "5 of at most 5 answers were drawn, 3 of them failed"
    spent = result.spent
    assert (spent.samples, spent.failed, spent.wasted_samples, spent.estimated) == (5, 3, 0, True)
    assert spent.input_tokens == 11 + 0 + 11 + 11 + 11  # the refused one never had its prompt read
    assert spent.output_tokens == 2 + 0 + 2 + 1 + 2
    assert len(sse.bodies) == 5


def test_429_then_fine(sse: Any, script: Any, sampler: Callable[..., ParallelSampler]) -> None:
    sse.scripts = [script(status=429, headers={"Retry-After": "0"}), script("4")]
    _, result = vote(sampler(SequentialVote(4, 2), width=1))
    assert (result.answer, result.spent.samples, result.spent.failed) == ("4", 2, 0)
    assert len(sse.bodies) == 3


@pytest.mark.parametrize(
    ("options", "requests", "tokens", "why"),
    [
        ({"status": 429}, 6, 0, r"HTTP 429 after 2 attempt"),
        ({"text": "x y z", "cut": 2}, 3, 6, "cut after 2 tokens"),
        ({"usage": None}, 3, 9, "told no usage"),
    ],
)
def test_all_fail(
    sse: Any, script: Any, sampler: Callable[..., ParallelSampler], options: dict, requests: int, tokens: int, why: str
) -> None:
    sse.scripts = [script(**options)]
    with pytest.raises(UpstreamError, match="all 3 answers of t to question 'q' failed") as caught:
        vote(sampler(MajorityVote(3), width=2))
    assert f"{tokens} output tokens spent" in str(caught.value)
    assert why in str(caught.value)
    assert len(sse.bodies) == requests


@pytest.mark.parametrize("width", [1, 3, 20])
def test_one_answer_again_and_again(sse: Any, script: Any, sampler: Callable[..., ParallelSampler], width: int) -> None:
    sse.scripts = [script("4")]
    _, result = vote(sampler(SequentialVote(8, 3), width=width))
    assert (result.answer, len(result.ballot), result.verdict.consensus) == ("4", 3, True)
    assert len(sse.bodies) <= min(8, 3 + width - 1)


@pytest.mark.parametrize("width", [1, 3, 20])
def test_only_blanks(sse: Any, script: Any, sampler: Callable[..., ParallelSampler], width: int) -> None:
    sse.scripts = [script("")]
    _, result = vote(sampler(SequentialVote(8, 3), width=width))
    assert (result.answer, result.ballot.unparsable, result.verdict.consensus) == (None, 8, False)
    assert len(sse.bodies) == 8


def test_impossible_settings(sampler: Callable[..., ParallelSampler]) -> None:
    with pytest.raises(ConfigError, match="width must be >= 1"):
        sampler(MajorityVote(3), width=0)
    with pytest.raises(ConfigError, match="greedy"):
        ParallelSampler(EndpointResponder(Target("t", "m"), base_url="http://h"), MajorityVote(3), extract)
