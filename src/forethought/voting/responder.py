"""Voting in waves over any responder, as a target of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from forethought.core import Question, Target
from forethought.errors import ConfigError, UpstreamError
from forethought.targets.base import Responder, Response, check_aligned
from forethought.voting.base import Same, StoppingRule
from forethought.voting.voted import Confidence, Extract, OnVote, RuleFor, Vote, VotedAnswer, refuse_greedy, rule_for


class VotingResponder:
    """Draws answers until a rule is content and gives the elected one (self-consistency, arXiv 2203.11171).

    Every round draws `wave` answers of each undecided question in one call. The rule reads them in order
    and decides on that prefix; what a wave has left over is charged and counted as waste. Sample s of this
    responder is made of the samples s * cap ... s * cap + cap - 1 of the one it wraps. An answer with
    `finish` `error` is no vote, but counts towards the cap.

    Args:
        responder: Draws the answers, at a temperature above 0.
        rule: When to stop, or a callable that gives the rule of each question.
        extract: Reads the answer to compare by out of a text, None where there is none.
        wave: Answers drawn at once of each question.
        same: Which answers are one vote besides those of equal text.
        target: Whose answers these are, by default the wrapped target with `votes` at the cap and the name
            `<name>-<rule><cap>`.
        confidence: How sure the model was of an answer, for rules that weigh votes.

    Raises:
        ConfigError: A wave below 1, a wrapped policy at temperature 0 (its answers would all be equal), or a
            rule for each question without a `target`.
    """

    def __init__(
        self,
        responder: Responder,
        rule: StoppingRule | RuleFor,
        extract: Extract,
        *,
        wave: int = 1,
        same: Same | None = None,
        target: Target | None = None,
        confidence: Confidence | None = None,
    ) -> None:
        if wave < 1:
            raise ConfigError(f"wave must be >= 1 answers, got {wave}")
        refuse_greedy(responder.target)
        self.responder = responder
        self.rule = rule
        self.extract = extract
        self.wave = wave
        self.same = same
        self.target = target or _voting(responder.target, rule)
        self.confidence = confidence

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        """Answer `questions[i]` as sample `samples[i]`."""
        return [voted.response for voted in self.answer(questions, samples)]

    def answer(
        self, questions: Sequence[Question], samples: Sequence[int], on_vote: OnVote | None = None
    ) -> list[VotedAnswer]:
        """Vote on `questions[i]` as sample `samples[i]`.

        Args:
            questions: The same one may occur many times.
            samples: One number a question.
            on_vote: Called as each vote is counted, question by question within a round.

        Raises:
            UpstreamError: The wrapped responder failed. An endpoint's does when one request fails for good, and
                what the others cost is then not known; `ParallelSampler` records failures and goes on.
        """
        check_aligned(questions, samples)
        rules = rule_for(self.rule)
        votes = [Vote(question, rules(question), self.extract, self.same, self.confidence) for question in questions]
        rounds = [0] * len(votes)
        while waiting := [i for i, vote in enumerate(votes) if vote.open]:
            self._round([votes[i] for i in waiting], [samples[i] for i in waiting], on_vote)
            for i in waiting:
                rounds[i] += 1
        return [vote.result(waited) for vote, waited in zip(votes, rounds, strict=True)]

    def _round(self, votes: list[Vote], samples: list[int], on_vote: OnVote | None) -> None:
        """Draw and count one wave of each vote."""
        sizes = [min(self.wave, vote.rule.cap - vote.drawn) for vote in votes]
        asked = [vote for vote, size in zip(votes, sizes, strict=True) for _ in range(size)]
        inner = [
            sample * vote.rule.cap + vote.drawn + i
            for vote, sample, size in zip(votes, samples, sizes, strict=True)
            for i in range(size)
        ]
        drawn = self.responder.respond([vote.question for vote in asked], inner)
        if len(drawn) != len(asked):
            raise UpstreamError(f"{self.responder.target.name} gave {len(drawn)} answers to {len(asked)} questions")
        for vote, response in zip(asked, drawn, strict=True):
            event = vote.take(response)
            if event is not None and on_vote is not None:
                on_vote(vote.question, event.number, event.answer, event.verdict)


def _voting(target: Target, rule: StoppingRule | RuleFor) -> Target:
    if callable(rule):
        raise ConfigError(f"a rule for each question of {target.name!r} has no one cap: say whose answers these are")
    return Target(f"{target.name}-{rule.name}{rule.cap}", target.model, replace(target.policy, votes=rule.cap))
