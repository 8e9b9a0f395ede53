"""One attempt while it lasts: its times, its tokens, and what it says of the upstream's health."""

from __future__ import annotations

from collections.abc import Callable

from forethought.gateway.base import Account, Attempt
from forethought.gateway.money import cost_of
from forethought.gateway.upstreams.base import UpstreamFailure
from forethought.gateway.upstreams.breaker import Permit
from forethought.gateway.upstreams.refusal import Refusal
from forethought.gateway.upstreams.rung import Rung
from forethought.gateway.upstreams.usage import guessed_prompt
from forethought.targets.streaming import Usage

_HEALTHY = frozenset({"client", "too-long", "absent"})
"""Verdicts that say nothing against the upstream."""


class Trial:
    """Enters its attempt into the account exactly once, when it succeeds, fails or is given up.

    Attributes:
        status: HTTP status, None so far.
        usage: As the upstream told it, None so far.
        tokens: Of the answer, counted as they came; charged where no usage comes.

    Args:
        rung: What is tried.
        account: Where the attempt is entered.
        permit: Leave of the breaker, which is told the outcome.
        clock: Seconds, never going back.
    """

    __slots__ = ("_account", "_clock", "_first", "_open", "_permit", "_started", "rung", "status", "tokens", "usage")

    def __init__(self, rung: Rung, account: Account, permit: Permit, clock: Callable[[], float]) -> None:
        self.rung = rung
        self.status: int | None = None
        self.usage: Usage | None = None
        self.tokens = 0
        self._account = account
        self._permit = permit
        self._clock = clock
        self._started = clock()
        self._first: float | None = None
        self._open = True
        account.held += rung.bound

    def left(self, until: float) -> float:
        """Seconds until a time of the trial's clock."""
        return until - self._clock()

    def began(self) -> None:
        """The first of the answer has come."""
        self._first = self._clock() - self._started
        self._permit.began()

    def succeed(self) -> None:
        """The answer has come whole."""
        self._enter("", charged=True)
        self._permit.success()

    def fail(self, failure: UpstreamFailure) -> None:
        """The attempt failed; what it had answered until then is charged, its prompt alone is not."""
        self._enter(f"{failure.kind} {failure.status}" if failure.kind == "status" else failure.kind)
        verdict = failure.verdict if isinstance(failure, Refusal) else ""
        if verdict in _HEALTHY:
            self._permit.success()
        elif verdict == "limited":
            self._permit.limited()
        else:
            self._permit.failure()

    def cancel(self) -> None:
        """Nobody wants the answer any more; what has come of it is charged, and of a budget its prompt in any case."""
        self._enter("cancelled", charged=self._account.allowance is not None)
        self._permit.release()

    def _enter(self, error: str, charged: bool = False) -> None:
        if not self._open:
            return
        self._open = False
        usage, estimated = self.usage or Usage(0, 0), False
        if self.usage is None and (self.tokens > 0 or charged):
            usage, estimated = Usage(guessed_prompt(self.rung.request.body), self.tokens), True
        cost = cost_of(self.rung.prices, usage.input, usage.output, usage.cached)
        self._account.held -= self.rung.bound
        if estimated and self._account.allowance is not None:
            cost = min(cost, self.rung.bound)
        self._account.attempts.append(
            Attempt(
                target=self.rung.target,
                status=self.status,
                input_tokens=usage.input,
                cached_tokens=usage.cached,
                output_tokens=usage.output,
                cost=cost,
                seconds=self._clock() - self._started,
                first_seconds=self._first,
                error=error,
                estimated=estimated,
            )
        )
