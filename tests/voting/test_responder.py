from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.core import DecodingPolicy, Prices, Question, Target
from forethought.errors import ConfigError, UpstreamError
from forethought.targets import Responder, Response
from forethought.voting.base import Ballot, Verdict
from forethought.voting.majority_vote import MajorityVote
from forethought.voting.responder import VotingResponder
from forethought.voting.sequential_vote import SequentialVote
from forethought.voting.voted import mean_probability

SAMPLED = Target("t", "m", DecodingPolicy(temperature=0.7))
QUESTION = Question.ask("Which?")


class Recorded:
    """Gives the texts it was made with: sample number s is text s; None is a failed request."""

    def __init__(self, *texts: str | None, target: Target = SAMPLED) -> None:
        self.target = target
        self.texts = texts
        self.calls: list[list[int]] = []

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        self.calls.append(list(samples))
        return [self._answer(s) for s in samples]

    def _answer(self, sample: int) -> Response:
        text = self.texts[sample]
        finish = "error" if text is None else "stop"
        return Response(text or "", 10, sample + 1, 0.5, finish, -1.0, cached_tokens=4)


def extract(question: Question, text: str) -> str | None:
    return text.casefold() or None


def majority(*texts: str | None, **options: Any) -> VotingResponder:
    return VotingResponder(Recorded(*texts), MajorityVote(len(texts)), extract, wave=len(texts), **options)


@pytest.mark.parametrize(
    ("texts", "winner"),
    [
        (("a", "b", "B"), "b"),
        (("a", "b", "c"), "a"),
        (("b", "a", "a", "b"), "b"),
        (("", "", "c"), "c"),
        (("", "", ""), ""),
        ((None, "b", "a", "a"), "a"),
        ((None, "b", None), "b"),
    ],
    ids=["most frequent", "all differ", "tie", "unparsable", "nothing parsable", "one failed", "one came"],
)
def test_election(texts: tuple[str, ...], winner: str) -> None:
    [answer] = majority(*texts).respond([QUESTION], [0])
    assert answer.text == winner
    assert answer.finish == "stop"


def test_nothing_came() -> None:
    [voted] = majority(None, None).answer([QUESTION], [0])
    assert (voted.answer, voted.response.finish, voted.response.output_tokens) == (None, "error", 3)
    assert (voted.verdict.stop, voted.verdict.consensus, voted.spent.failed) == (True, False, 2)
    assert voted.verdict.reason == "2 of at most 2 answers were drawn, 2 of them failed"


def test_cost_is_that_of_every_vote() -> None:
    [voted] = majority("a", "b", "a").answer([QUESTION], [0])
    answer, spent = voted.response, voted.spent
    assert (answer.input_tokens, answer.output_tokens, answer.seconds, answer.cached_tokens) == (30, 6, 1.5, 12)
    assert (spent.samples, spent.rounds, spent.wasted_samples, spent.failed) == (3, 1, 0, 0)
    assert spent.usd(Prices(1.0, 2.0, 0.5)) == pytest.approx((18 + 12 * 0.5 + 6 * 2) / 1e6)


def test_sample_s_is_made_of_its_own_inner_samples() -> None:
    inner = Recorded("a", "a", "b", "b", "c", "c")
    answers = VotingResponder(inner, MajorityVote(2), extract, wave=2).respond([QUESTION] * 2, [2, 0])
    assert inner.calls == [[4, 5, 0, 1]]
    assert [answer.text for answer in answers] == ["c", "a"]


def test_waves_stop_early_and_charge_their_surplus() -> None:
    inner = Recorded("a", "b", "a", "a", "b", "b", "b", "b", *["c"] * 8)
    heard: list[tuple[int, str | None, bool]] = []
    voted = VotingResponder(inner, SequentialVote(8, 3), extract, wave=3).answer(
        [QUESTION] * 2, [0, 1], lambda question, number, answer, verdict: heard.append((number, answer, verdict.stop))
    )
    assert inner.calls == [[0, 1, 2, 8, 9, 10], [3, 4, 5]]
    assert [v.answer for v in voted] == ["a", "c"]
    spent = voted[0].spent
    assert (spent.samples, spent.rounds, spent.wasted_samples, spent.wasted_tokens) == (6, 2, 2, 5 + 6)
    assert (voted[1].spent.samples, voted[1].spent.rounds) == (3, 1)
    assert [entry for entry in heard if entry[2]] == [(2, "c", True), (3, "a", True)]
    assert len(heard) == 7


def test_a_rule_for_each_question() -> None:
    caps = {"one": 1, "three": 3}
    questions = [Question.ask(text) for text in caps]
    inner = Recorded(*"abcdef")
    voting = VotingResponder(inner, lambda q: MajorityVote(caps[q.text]), extract, target=Target("v", "m"))
    assert [v.spent.samples for v in voting.answer(questions, [1, 1])] == [1, 3]
    assert inner.calls == [[1, 3], [4], [5]]
    with pytest.raises(ConfigError, match="no one cap"):
        VotingResponder(inner, lambda q: MajorityVote(2), extract)


def test_answers_that_are_the_same_are_one_vote() -> None:
    [voted] = majority("x", "1/2", "0.5", same=lambda a, b: {a, b} == {"1/2", "0.5"}).answer([QUESTION], [0])
    assert (voted.answer, voted.ballot.counts) == ("1/2", (("x", 1), ("1/2", 2)))


def test_confidence_reaches_the_rule() -> None:
    [voted] = majority("a", "b", confidence=mean_probability).answer([QUESTION], [0])
    assert voted.ballot.confidences == pytest.approx((0.36787944, 0.36787944))


def test_the_target_says_how_many_votes() -> None:
    target = VotingResponder(Recorded("a"), MajorityVote(5), extract).target
    assert (target.name, target.policy.votes, target.policy.temperature) == ("t-majority5", 5, 0.7)
    assert isinstance(VotingResponder(Recorded("a"), MajorityVote(5), extract), Responder)


def test_impossible_settings() -> None:
    with pytest.raises(ConfigError, match="greedy"):
        VotingResponder(Recorded("a", target=Target("t", "m")), MajorityVote(3), extract)
    with pytest.raises(ConfigError, match="wave must be >= 1"):
        VotingResponder(Recorded("a"), MajorityVote(3), extract, wave=0)


def test_a_responder_that_gives_too_few() -> None:
    class Short(Recorded):
        def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
            return super().respond(questions, samples)[1:]

    with pytest.raises(UpstreamError, match="gave 1 answers to 2 questions"):
        VotingResponder(Short("a", "b"), MajorityVote(2), extract, wave=2).respond([QUESTION], [0])


@dataclass(frozen=True, slots=True)
class Moody:
    """A rule that stops whenever it likes and may forget its cap."""

    cap: int
    mood: int
    name = "moody"

    def judge(self, ballot: Ballot) -> Verdict:
        stop = random.Random(f"{self.mood}/{len(ballot)}").random() < 0.1
        return Verdict(stop, ballot.leader, 0.5, "whim")

    def state(self, ballot: Ballot) -> Hashable:
        return ballot


class Adversary:
    """Garbage, blanks, errors and odd token counts, all of which it remembers having given."""

    target = SAMPLED
    junk = ("", " ", "\n", "\0", "a", "A", "b", "[TRIAL]", "[/TRIAL]", "\ud800", "١", "a" * 500)

    def __init__(self, seed: int, failing: float) -> None:
        self.random = random.Random(seed)
        self.failing = failing
        self.given: list[tuple[str, int, Response]] = []

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        drawn = [self._answer() for _ in questions]
        self.given += [(q.id, s, r) for q, s, r in zip(questions, samples, drawn, strict=True)]
        return drawn

    def _answer(self) -> Response:
        roll, prompt = self.random, self.random.choice((0, 1, 10**6))
        finish = "error" if roll.random() < self.failing else roll.choice(("stop", "length"))
        return Response(
            text=roll.choice(self.junk),
            input_tokens=prompt,
            output_tokens=roll.choice((0, 3, 10**9)),
            seconds=roll.random(),
            finish=finish,
            mean_logprob=None if roll.random() < 0.5 else -40 * roll.random(),
            cached_tokens=min(prompt, roll.choice((0, 5))),
            estimated=roll.random() < 0.1,
        )


def check(seed: int, failing: float, count: int, wave: int, rule: Any) -> None:
    inner = Adversary(seed, failing)
    questions = [Question.ask("Which?", id=f"q{i}") for i in range(count)]
    voting = VotingResponder(inner, rule, lambda q, text: text or None, wave=wave, confidence=mean_probability)
    voted = voting.answer(questions, [seed % 7] * count)
    drawn = Counter(question for question, _, _ in inner.given)
    assert len(set(inner.given)) == len(inner.given)
    for question, result in zip(questions, voted, strict=True):
        given_to = [response for id_, _, response in inner.given if id_ == question.id]
        numbers = [sample for id_, sample, _ in inner.given if id_ == question.id]
        spent = result.spent
        assert drawn[question.id] == spent.samples <= rule.cap
        assert numbers == [seed % 7 * rule.cap + i for i in range(spent.samples)]
        assert spent.input_tokens == sum(r.input_tokens for r in given_to)
        assert spent.output_tokens == sum(r.output_tokens for r in given_to)
        assert spent.cached_tokens == sum(r.cached_tokens for r in given_to)
        assert spent.failed == sum(r.finish == "error" for r in given_to)
        assert len(result.ballot) == spent.samples - spent.failed - spent.wasted_samples
        assert spent.wasted_samples < wave
        assert spent.rounds == -(-spent.samples // wave)
        assert result.verdict.stop
        assert (result.response.input_tokens, result.response.output_tokens) == (
            spent.input_tokens,
            spent.output_tokens,
        )
        assert result.answer is None or result.answer.strip()


RULES = st.one_of(
    st.builds(MajorityVote, st.integers(1, 9)),
    st.integers(1, 9).flatmap(lambda cap: st.builds(SequentialVote, st.just(cap), st.integers(1, cap))),
    st.builds(Moody, st.integers(1, 9), st.integers(0, 99)),
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from((0.0, 0.3, 0.9, 1.0)), st.integers(0, 3), st.integers(1, 12), RULES)
def test_caps_hold_and_every_token_is_accounted_for(
    seed: int, failing: float, count: int, wave: int, rule: Any
) -> None:
    check(seed, failing, count, wave, rule)


def test_the_same_in_10_000_random_cases() -> None:
    roll = random.Random(0)
    for seed in range(10_000):
        cap = roll.randint(1, 9)
        rules = (MajorityVote(cap), SequentialVote(cap, roll.randint(1, cap)), Moody(cap, roll.randrange(99)))
        check(seed, roll.choice((0.0, 0.3, 0.9, 1.0)), 1, roll.randint(1, 12), roll.choice(rules))
