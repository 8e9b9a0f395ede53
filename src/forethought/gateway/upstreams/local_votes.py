"""A vote's answers by a model in this process, which can be given up between two tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event

from forethought.core import DecodingPolicy, Question, Target
from forethought.targets import LocalResponder, Response


class Halted(Exception):  # noqa: N818 - nobody waits for the answer any more
    """The vote was given up."""


@dataclass(slots=True)
class Effort:
    """What a vote has taken so far, told across threads.

    Attributes:
        halt: Set to end it at its next token.
        tokens: Generated so far.
    """

    halt: Event
    tokens: int = 0


class HaltingResponder(LocalResponder):
    """A target's answers under one request's own policy.

    Args:
        like: The target, with the model.
        policy: Of the request.
        seed: Of the random streams.
        stops: Strings that end an answer.
        effort: Counts tokens, and ends the vote.
    """

    def __init__(
        self, like: LocalResponder, policy: DecodingPolicy, *, seed: int, stops: Sequence[str], effort: Effort
    ) -> None:
        self._effort = effort
        self._ends = stops
        target = Target(like.target.name, like.target.model, policy)
        super().__init__(like.model, target, examples=like.examples, seed=seed)
        self.generator = like.generator.under(policy, self._stops())  # as deep as the target's own answers go

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        """Answer `questions[i]` as sample `samples[i]`.

        Raises:
            Halted: Nobody waits any more.
        """
        return [replace(answer, text=self._cut(answer.text)) for answer in super().respond(questions, samples)]

    def _cut(self, text: str) -> str:
        return text[: min((at for stop in self._ends if (at := text.find(stop)) >= 0), default=len(text))].strip()

    def _stops(self) -> Callable[[int], bool]:
        ends, effort = super()._stops(), self._effort

        def stops(token: int) -> bool:
            if effort.halt.is_set():
                raise Halted
            effort.tokens += 1
            return ends(token)

        return stops
