"""Majority of several sampled answers, as a target of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from forethought.core import Question, Target
from forethought.errors import ConfigError
from forethought.targets.base import Responder, Response, check_aligned

Extract = Callable[[Question, str], str | None]


class MajorityResponder:
    """Draws several answers and gives the most frequent one (self-consistency, Wang et al. 2022, section 2).

    Sample s of this responder is made of the samples s * votes ... s * votes + votes - 1 of the one it wraps.
    Ties go to the answer that came first; texts without an answer never vote. Tokens and seconds are summed.

    Args:
        responder: Draws the answers, at a temperature above 0.
        votes: Answers drawn.
        extract: Reads the answer to compare by out of a text, None where there is none.
        target: Whose answers these are, by default the wrapped target with `votes` and the name `<name>-maj<votes>`.

    Raises:
        ConfigError: Fewer than 2 votes, or a wrapped policy at temperature 0 (its answers would all be equal).
    """

    def __init__(self, responder: Responder, votes: int, extract: Extract, *, target: Target | None = None) -> None:
        if votes < 2:
            raise ConfigError(f"votes must be >= 2, got {votes}")
        if responder.target.policy.temperature == 0:
            raise ConfigError(f"target {responder.target.name!r} is greedy: {votes} votes would be one answer")
        self.responder = responder
        self.votes = votes
        self.extract = extract
        self.target = target or _voting(responder.target, votes)

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        """Answer `questions[i]` as sample `samples[i]`."""
        check_aligned(questions, samples)
        asked = [question for question in questions for _ in range(self.votes)]
        inner = [sample * self.votes + vote for sample in samples for vote in range(self.votes)]
        drawn = self.responder.respond(asked, inner)
        ballots = [drawn[start : start + self.votes] for start in range(0, len(drawn), self.votes)]
        return [self._elect(question, ballot) for question, ballot in zip(questions, ballots, strict=True)]

    def _elect(self, question: Question, ballot: list[Response]) -> Response:
        votes = [self.extract(question, response.text) for response in ballot]
        # Counter keeps the order of first appearance, and most_common is stable: ties go to the earliest.
        counts = Counter(vote for vote in votes if vote is not None)
        winner = ballot[votes.index(counts.most_common(1)[0][0])] if counts else ballot[0]
        return Response(
            text=winner.text,
            input_tokens=sum(response.input_tokens for response in ballot),
            output_tokens=sum(response.output_tokens for response in ballot),
            seconds=sum(response.seconds for response in ballot),
            finish=winner.finish,
            mean_logprob=winner.mean_logprob,
        )


def _voting(target: Target, votes: int) -> Target:
    return Target(f"{target.name}-maj{votes}", target.model, replace(target.policy, votes=votes))
