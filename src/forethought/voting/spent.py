"""What a vote cost: samples, tokens, money, waiting and waste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from forethought.core import Prices
from forethought.targets.base import Response


@dataclass(frozen=True, slots=True)
class Spent:
    """The account of one question's vote, or by addition of several.

    Every sample pays for its prompt: `input_tokens` are the prompt tokens without prefix caching,
    `input_tokens - cached_tokens` those that had to be computed with it.

    Attributes:
        samples: Answers asked for: those the rule read, those it never did, and those that failed.
        input_tokens: Prompt tokens of all samples.
        cached_tokens: Of these, the ones that a prefix cache served.
        output_tokens: Tokens generated.
        rounds: Waits one after another, in answers: the latency.
        wasted_samples: Answers drawn, or in flight at the stop, that the rule never read.
        wasted_tokens: Tokens generated for those.
        failed: Requests that gave no answer; their tokens are charged.
        seconds: Of answering, summed over the samples.
        estimated: Whether some tokens are our count because the endpoint's never came.
    """

    samples: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    rounds: int = 0
    wasted_samples: int = 0
    wasted_tokens: int = 0
    failed: int = 0
    seconds: float = 0.0
    estimated: bool = False

    def __add__(self, other: Spent) -> Spent:
        """Both, one after the other."""
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        return Spent(**{**sums, "estimated": self.estimated or other.estimated})

    def usd(self, prices: Prices) -> float:
        """USD at these prices, cached prompt tokens at theirs."""
        return prices.cost(self.input_tokens, self.output_tokens, self.cached_tokens)


def spent_on(
    read: Sequence[Response], *, wasted: Sequence[Response] = (), failed: Sequence[Response] = (), rounds: int
) -> Spent:
    """The account of answers that the rule read, that it never did, and that failed."""
    every = (*read, *wasted, *failed)
    return Spent(
        samples=len(every),
        input_tokens=sum(answer.input_tokens for answer in every),
        cached_tokens=sum(answer.cached_tokens for answer in every),
        output_tokens=sum(answer.output_tokens for answer in every),
        rounds=rounds,
        wasted_samples=len(wasted),
        wasted_tokens=sum(answer.output_tokens for answer in wasted),
        failed=len(failed),
        seconds=sum(answer.seconds for answer in every),
        estimated=any(answer.estimated for answer in every),
    )
