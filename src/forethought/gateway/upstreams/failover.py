"""Failover: every upstream's faults are survived as long as nothing of an answer was shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from math import inf

from forethought.gateway.base import Account, Delivery
from forethought.gateway.config import Breaker, Retries, Timeouts
from forethought.gateway.upstreams.attempt import attempt
from forethought.gateway.upstreams.backoff import full_jitter, no_sooner
from forethought.gateway.upstreams.base import UpstreamFailure
from forethought.gateway.upstreams.breaker import CircuitBreaker
from forethought.gateway.upstreams.climb import Climb, Leg
from forethought.gateway.upstreams.hedge import Asking, hedged
from forethought.gateway.upstreams.outcome import outcome_of_named, problem_of_routed, refused
from forethought.gateway.upstreams.refusal import Refusal
from forethought.gateway.upstreams.retry_budget import RetryBudget
from forethought.gateway.upstreams.rung import Rung
from forethought.gateway.upstreams.trial import Trial

_LONGEST_COOLING = 60.0
"""Seconds that a target is left alone at most because it asked for it once."""
_ROUTED = frozenset({"client"})
_NAMED = frozenset({"client", "too-long", "absent"})


class _Standing:
    """What all requests to one target share."""

    __slots__ = ("breaker", "budget", "waiting")

    def __init__(self, breaker: CircuitBreaker, budget: RetryBudget) -> None:
        self.breaker = breaker
        self.budget = budget
        self.waiting = 0


class Failover:
    """Asks targets in order until one answers, within the limits of time, retries and breakers.

    - Another rung is asked at once where one is left; a target is asked again only after the others, after a
      jittered wait (`Retry-After` where one came), and as far as its retry budget goes.
    - Breakers and budgets are each target's own: one model of an aggregator may fail while its others answer.
    - A silence before the first token is not asked again; nor is what is wrong with the request or with the key.
    - A request that is too long goes on only to a target known to hold more. A filtered one is never routed around.
    - 429 or 503 with `Retry-After` rests the target that sent it, for a minute at most, and says nothing of its
      health; without, it is a failure like others.
    - A breaker's success is told when an answer has ended well, so that an upstream that cuts every stream is left
      alone; a probe's when its answer has begun.
    - Nobody is asked whom the account's allowance, less what was spent and what attempts under way may cost, does
      not cover.

    Args:
        timeouts: Of connections, first tokens and whole requests.
        retries: How often, and what share.
        breaker: When a target is left alone.
        clock: Seconds, never going back.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        retries: Retries,
        breaker: Breaker,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._timeouts = timeouts
        self._retries = retries
        self._breaker = breaker
        self._clock = clock
        self._sleep = sleep
        self._targets: dict[str, _Standing] = {}
        self._cooling: dict[str, float] = {}

    async def deliver(self, rungs: Sequence[Rung], account: Account) -> Delivery:
        """Answer a routed request by the first of the rungs that can.

        Returns:
            An answer, or an upstream's refusal of the request itself (400, 422 and the like).

        Raises:
            Problem: 503 `upstream_unavailable`, 502 `upstream_rejected` or 504 `deadline`.
        """
        climb = Climb(rungs, self._clock() + self._timeouts.total, _ROUTED)
        delivery = await self._climb(climb, account)
        if delivery is None:
            raise problem_of_routed(climb, self._wait(climb))
        return delivery

    async def forward(self, rung: Rung, account: Account) -> Delivery:
        """Answer a request for one target that the client named.

        Returns:
            An answer, or the upstream's own error reply once it was not worth asking again.

        Raises:
            Problem: 502 `upstream_unavailable` or `upstream_rejected`, 503 `upstream_unavailable` where it rests, 504
                `upstream_timeout` or `deadline`.
        """
        climb = Climb((rung,), self._clock() + self._timeouts.total, _NAMED)
        return await self._climb(climb, account) or outcome_of_named(climb, self._wait(climb))

    def breaker(self, target: str) -> CircuitBreaker:
        """The breaker of a target."""
        return self._of(target).breaker

    def states(self) -> dict[str, str]:
        """State of the breaker of every target that was asked."""
        return {name: standing.breaker.state for name, standing in self._targets.items()}

    async def _climb(self, climb: Climb, account: Account) -> Delivery | None:
        try:
            while (step := self._next(climb, account)) is not None:
                leg, wait = step
                if self._clock() + wait >= climb.until:
                    climb.late = True
                    return None
                if not self._pay(leg):
                    continue
                if wait > 0:
                    await self._rest(leg, wait)
                if (delivery := await self._hedged(climb, leg, account)) is not None:
                    return delivery
        except asyncio.CancelledError:
            account.ending = "cancelled"
            raise
        return None

    def _next(self, climb: Climb, account: Account) -> tuple[Leg, float] | None:
        """Whom to ask next and in how many seconds; None where nobody is left."""
        if climb.late:
            return None
        now = self._clock()
        soonest: tuple[float, Leg] | None = None
        for leg in climb.legs:
            ready = self._ready(leg, now)
            if ready is None or not account.covers(leg.rung.bound):
                continue
            if leg.tries == 0 and ready <= now:
                return leg, 0.0
            if soonest is None or ready < soonest[0]:
                soonest = ready, leg
        if soonest is None:
            return None
        ready, leg = soonest
        return leg, max(0.0, ready - now)

    def _ready(self, leg: Leg, now: float) -> float | None:
        """Time from which a rung may be asked; None where it may not within this request."""
        if leg.over or leg.ready == inf or self.breaker(leg.rung.target).resting > 0:
            return None
        cooling = self._cooling.get(leg.rung.target, now) - now
        if leg.tries > 0 or cooling <= 0:
            return leg.ready
        return now + no_sooner(cooling) if cooling <= self._retries.cap else None

    def _pay(self, leg: Leg) -> bool:
        """Take a retry from the target's budget, or pay a first request into it; whether it may be sent."""
        budget = self._of(leg.rung.target).budget
        if leg.tries == 0:
            budget.deposit()
        elif not budget.take():
            leg.over = True
            return False
        return True

    async def _rest(self, leg: Leg, wait: float) -> None:
        """Wait until a rung may be asked."""
        standing = self._of(leg.rung.target)
        standing.waiting += 1
        try:
            await self._sleep(wait)
        finally:
            standing.waiting -= 1

    async def _hedged(self, climb: Climb, leg: Leg, account: Account) -> Delivery | None:
        after = self._retries.hedge_after
        if after is None:
            return await self._ask(climb, leg, account)

        def spare() -> Asking | None:
            while (step := self._next(climb, account)) is not None and step[1] <= 0:
                if self._pay(step[0]):
                    return self._ask(climb, step[0], account)
            return None

        return await hedged(self._ask(climb, leg, account), spare, after)

    async def _ask(self, climb: Climb, leg: Leg, account: Account) -> Delivery | None:
        """Ask once; None where that brought nothing for the client."""
        if not account.covers(leg.rung.bound):  # another attempt of the request has begun while this one waited
            return None
        permit = self.breaker(leg.rung.target).acquire()
        if permit is None:  # it has opened while this request waited
            leg.over = True
            return None
        leg.tries += 1
        leg.ready = inf  # until its outcome is known
        trial = Trial(leg.rung, account, permit, self._clock)
        try:
            return await attempt(trial, account, self._timeouts.first_token, climb.until)
        except UpstreamFailure as failure:
            leg.failure = failure
            if isinstance(failure, Refusal) and self._is_answer(climb, leg, failure):
                account.ending = "refused"
                return refused(failure, leg.rung.target)
            self._learn(climb, leg, failure)
        return None

    def _is_answer(self, climb: Climb, leg: Leg, refusal: Refusal) -> bool:
        """Whether an error reply is for the client, since no other target would do better."""
        if refusal.verdict == "too-long" and refusal.verdict not in climb.passes:
            return not climb.only_larger(leg)
        return refusal.verdict in climb.passes

    def _learn(self, climb: Climb, leg: Leg, failure: UpstreamFailure) -> None:
        """Set when, and whether, a rung that failed may be asked again."""
        now = self._clock()
        climb.late |= failure.kind == "timeout" and now >= climb.until
        asked = failure.retry_after
        verdict = failure.verdict if isinstance(failure, Refusal) else "passing"
        if verdict == "limited" and asked is not None:
            self._cooling[leg.rung.target] = now + min(asked, _LONGEST_COOLING)
        again = verdict in ("passing", "limited") and failure.kind != "timeout" and (asked or 0) <= self._retries.cap
        leg.over |= not again or leg.tries >= self._retries.attempts
        if asked:
            leg.ready = now + no_sooner(asked)
        else:
            waiting = self._of(leg.rung.target).waiting
            leg.ready = now + full_jitter(leg.tries, self._retries.base, self._retries.cap, waiting)

    def _wait(self, climb: Climb) -> float:
        """Seconds until the first of the rungs may be worth asking again."""
        now = self._clock()
        return min((self._wait_for(leg, now) for leg in climb.legs), default=0.0)

    def _wait_for(self, leg: Leg, now: float) -> float:
        asked = 0.0 if leg.failure is None else leg.failure.retry_after or 0.0
        resting = self.breaker(leg.rung.target).resting
        return max(asked, resting, self._cooling.get(leg.rung.target, now) - now)

    def _of(self, target: str) -> _Standing:
        standing = self._targets.get(target)
        if standing is None:
            breaker = CircuitBreaker(self._breaker.failures, self._breaker.rest, self._clock)
            standing = self._targets[target] = _Standing(breaker, RetryBudget(self._retries.budget))
        return standing
