from __future__ import annotations

from collections.abc import Sequence

import pytest

from forethought.core import DecodingPolicy, Question, Target
from forethought.errors import ConfigError
from forethought.targets import MajorityResponder, Response

SAMPLED = Target("t", "m", DecodingPolicy(temperature=0.7))
QUESTION = Question.ask("Which?")


class Recorded:
    """Gives the texts it was made with: sample number s is text s."""

    def __init__(self, *texts: str, target: Target = SAMPLED) -> None:
        self.target = target
        self.texts = texts
        self.asked: list[int] = []

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        self.asked += samples
        return [Response(self.texts[s], 10, s + 1, 0.5, "stop", -1.0) for s in samples]


def extract(question: Question, text: str) -> str | None:
    return text.casefold() or None


@pytest.mark.parametrize(
    ("texts", "winner"),
    [
        (("a", "b", "B"), "b"),
        (("a", "b", "c"), "a"),
        (("b", "a", "a", "b"), "b"),
        (("", "", "c"), "c"),
        (("", "", ""), ""),
    ],
    ids=["most frequent", "all differ", "tie", "unparsable never votes", "nothing parsable"],
)
def test_election(texts: tuple[str, ...], winner: str) -> None:
    [answer] = MajorityResponder(Recorded(*texts), len(texts), extract).respond([QUESTION], [0])
    assert answer.text == winner


def test_cost_is_that_of_every_vote() -> None:
    [answer] = MajorityResponder(Recorded("a", "b", "a"), 3, extract).respond([QUESTION], [0])
    assert (answer.input_tokens, answer.output_tokens, answer.seconds) == (30, 1 + 2 + 3, 1.5)


def test_sample_s_is_made_of_its_own_inner_samples() -> None:
    inner = Recorded("a", "a", "b", "b", "c", "c")
    answers = MajorityResponder(inner, 2, extract).respond([QUESTION] * 2, [2, 0])
    assert inner.asked == [4, 5, 0, 1]
    assert [answer.text for answer in answers] == ["c", "a"]


def test_the_target_says_how_many_votes() -> None:
    target = MajorityResponder(Recorded("a"), 5, extract).target
    assert (target.name, target.policy.votes, target.policy.temperature) == ("t-maj5", 5, 0.7)


def test_impossible_settings() -> None:
    with pytest.raises(ConfigError, match="votes must be >= 2"):
        MajorityResponder(Recorded("a"), 1, extract)
    with pytest.raises(ConfigError, match="greedy"):
        MajorityResponder(Recorded("a", target=Target("t", "m")), 3, extract)
