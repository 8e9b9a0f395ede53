"""What a target gives back, and the protocol of whatever calls one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from forethought.core import Question, Target
from forethought.errors import DataError

Finish = Literal["stop", "length", "error"]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer.

    Attributes:
        text: The answer without the tokens that ended it.
        input_tokens: Length of the whole prompt, also where a shared part of it was computed once.
        output_tokens: Tokens generated, the one that ended the answer included.
        seconds: Wall time; in a batch, its share by tokens generated.
        finish: `stop` (the model ended it), `length` (cut at the policy's `max_tokens`) or `error`.
        mean_logprob: Mean over the generated tokens of their log-probability at temperature 1; None if unknown.
        cached_tokens: Of `input_tokens`, those that a prefix cache served; 0 where nobody says.
        estimated: Whether the tokens are our count because nobody else's came.
    """

    text: str
    input_tokens: int
    output_tokens: int
    seconds: float
    finish: Finish
    mean_logprob: float | None = None
    cached_tokens: int = 0
    estimated: bool = False


@runtime_checkable
class Responder(Protocol):
    """Calls one target."""

    target: Target

    def respond(self, questions: Sequence[Question], samples: Sequence[int]) -> list[Response]:
        """Answer `questions[i]` as its sample number `samples[i]`, for every i, in that order.

        The same question may occur many times. A sample depends on the question, its number and
        the responder's seed, never on what else is asked in the same call.
        """
        ...


def check_aligned(questions: Sequence[Question], samples: Sequence[int]) -> None:
    """Raise DataError unless there is one sample number >= 0 for each question."""
    if len(questions) != len(samples):
        raise DataError(f"{len(questions)} questions but {len(samples)} sample numbers; one is needed for each")
    if any(sample < 0 for sample in samples):
        raise DataError(f"sample numbers must be >= 0, got {min(samples)}")
