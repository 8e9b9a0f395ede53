from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from forethought.core import DecodingPolicy, Message, Question, Target
from forethought.errors import UpstreamError
from forethought.targets import EndpointResponder, Retry
from forethought.voting.in_one import TraceSampler
from forethought.voting.sequential_vote import SequentialVote
from forethought.voting.voted import VotedAnswer, VoteEvent

QUESTION = Question.ask("Which one?", id="q")
LONG = " ".join("x" * 2000)


def extract(question: Question, text: str) -> str | None:
    return text.split()[-1] if text else None


def vote(sse: Any, **options: Any) -> tuple[list[VoteEvent], VotedAnswer]:
    target = Target("t", "m", DecodingPolicy(system="Be brief.", max_tokens=4000))
    endpoint = EndpointResponder(target, base_url=sse.url, retry=Retry(attempts=1))

    async def run() -> list[VoteEvent]:
        return [event async for event in TraceSampler(endpoint, extract, **options).votes(QUESTION)]

    *events, last = asyncio.run(run())
    assert last.result is not None
    return events, last.result


def trials(*answers: str) -> str:
    return " ".join(f"[TRIAL] so {answer} [/TRIAL]" for answer in answers)


def test_the_stream_is_closed_at_consensus(sse: Any, script: Any) -> None:
    sse.scripts = [script(f"{trials('4', '5', '4', '4')} {LONG}", pause=0.002)]
    events, result = vote(sse)
    assert [event.answer for event in events] == ["4", "5", "4", "4"]
    assert (result.answer, result.response.text, result.verdict.consensus) == ("4", "so 4", True)
    assert sse.wait_gone(1)
    assert sse.gone[0] < 400
    spent = result.spent
    assert (spent.samples, spent.rounds, spent.output_tokens, spent.estimated) == (4, 1, 16, True)
    prompt = sse.bodies[0]["messages"]
    assert [turn["role"] for turn in prompt] == ["system", "user"]
    assert prompt[0]["content"].startswith("Be brief.\n\nSolve")
    assert spent.input_tokens == -(-sum(len(turn["content"]) for turn in prompt) // 4)


def test_the_cap_closes_it_too(sse: Any, script: Any) -> None:
    sse.scripts = [script(f"{trials(*'123456789')} {LONG}", pause=0.002)]
    _, result = vote(sse, rule=SequentialVote(4, 2))
    assert (result.answer, len(result.ballot), result.verdict.consensus) == ("1", 4, False)
    assert sse.wait_gone(1)


def test_a_model_that_ends_early(sse: Any, script: Any) -> None:
    text = f"{trials('4', '5')} The final answer is 4."
    sse.scripts = [script(text)]
    _, result = vote(sse)
    assert (result.answer, result.verdict.stop, result.verdict.consensus) == ("4", True, False)
    assert result.verdict.reason == "the writing ended after 2 trials"
    assert (result.spent.input_tokens, result.spent.output_tokens, result.spent.estimated) == (11, 14, False)


@pytest.mark.parametrize("text", ["I say 4", "[TRIAL] unclosed 4", "4"])
def test_an_answer_without_trials_is_one_vote(sse: Any, script: Any, text: str) -> None:
    sse.scripts = [script(text)]
    events, result = vote(sse)
    assert [event.answer for event in events] == ["4"]
    assert (result.answer, result.spent.samples, result.response.text) == ("4", 1, text)


def test_a_cut_keeps_the_trials_that_came(sse: Any, script: Any) -> None:
    sse.scripts = [script(trials("4", "5", "4"), cut=9)]
    _, result = vote(sse)
    assert (result.answer, result.ballot.answers) == ("4", ("4", "5"))
    assert result.verdict.reason == "the writing was cut after 2 trials"
    assert (result.spent.output_tokens, result.spent.estimated) == (9, True)


def test_nothing_before_the_cut(sse: Any, script: Any) -> None:
    sse.scripts = [script(trials("4"), cut=2)]
    with pytest.raises(UpstreamError, match="t gave no trial to question 'q': the stream was cut after 2 tokens"):
        vote(sse)
    sse.scripts = [script(status=429)]
    with pytest.raises(UpstreamError, match="HTTP 429"):
        vote(sse)


def test_system_turns_are_one(sse: Any, script: Any) -> None:
    sse.scripts = [script("4")]
    endpoint = EndpointResponder(Target("t", "m"), base_url=sse.url)
    asked = Question("q", (Message("system", "In French."), Message("user", "Which?")))
    result = asyncio.run(TraceSampler(endpoint, extract, prompt="Vote.").answer(asked))
    assert result.answer == "4"
    system, user = sse.bodies[0]["messages"]
    assert (system["content"], user["content"]) == ("In French.\n\nVote.", "Which?")


def test_leaving_early_hangs_up(sse: Any, script: Any) -> None:
    sse.scripts = [script(f"{trials('4')} {LONG}", pause=0.002)]
    endpoint = EndpointResponder(Target("t", "m"), base_url=sse.url)

    async def leave() -> None:
        async with aclosing(TraceSampler(endpoint, extract).votes(QUESTION)) as events:
            assert (await anext(events)).answer == "4"

    asyncio.run(leave())
    assert sse.wait_gone(1)
