"""Votes of targets that run in this process."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forethought.core import Prices
from forethought.errors import ForethoughtError
from forethought.gateway.base import Account, Attempt, ClientRequest, Delivery
from forethought.gateway.execution.ballots import TEMPERATURE, Manner, VoteFailed
from forethought.gateway.execution.completion import JSON
from forethought.gateway.execution.request_body import routed_body
from forethought.gateway.money import cost_of
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams.local import LocalUpstream
from forethought.targets.pool import PoolEntry
from forethought.voting.responder import VotingResponder
from forethought.voting.voted import VotedAnswer, mean_probability

if TYPE_CHECKING:
    from forethought.gateway.upstreams.local_votes import Effort


@dataclass(frozen=True, slots=True)
class LocalVoter:
    """Votes over batches of a local model's answers.

    Attributes:
        entry: The target.
        manner: How it votes.
        upstream: The model.
        prices: Of its tokens.
    """

    entry: PoolEntry
    manner: Manner
    upstream: LocalUpstream
    prices: Prices | None

    @property
    def cap(self) -> int:
        """Most answers drawn."""
        return self.manner.rule.cap

    async def vote(self, request: ClientRequest, account: Account, bound: int = 0) -> VotedAnswer:
        """Vote on one request; see `Voter.vote`."""
        from forethought.gateway.upstreams.local_votes import Effort

        effort, started = Effort(threading.Event()), time.perf_counter()
        voted: VotedAnswer | None = None
        try:
            voted = await self.upstream.engine.run(lambda: self._draw(request, effort))
        except Problem as problem:
            refused = Delivery(problem.status, JSON, self.entry.name, problem.body)
            raise VoteFailed(problem, refused) from None
        except ForethoughtError as error:
            raise VoteFailed(Problem(503, f"local model: {error}", code="upstream_unavailable")) from error
        finally:
            effort.halt.set()
            account.attempts.append(self._attempt(voted, effort.tokens, time.perf_counter() - started))
        return voted

    def _draw(self, request: ClientRequest, effort: Effort) -> VotedAnswer:
        """Vote, in the models' thread."""
        from forethought.gateway.upstreams.local_votes import HaltingResponder

        upstream = self.upstream
        asked = upstream.prepare(request.path, routed_body(request, self.entry)).request
        policy = asked.policy if asked.policy.temperature > 0 else replace(asked.policy, temperature=TEMPERATURE)
        seed = secrets.randbits(63) if asked.seed is None else asked.seed
        answers = HaltingResponder(upstream.responder, policy, seed=seed, stops=asked.stops, effort=effort)
        voting = VotingResponder(
            answers,
            self.manner.rule,
            self.manner.grader.extract,
            wave=self.manner.width,
            target=answers.target,
            confidence=mean_probability,
        )
        return voting.answer([upstream.question(asked)], [0])[0]

    def _attempt(self, voted: VotedAnswer | None, tokens: int, seconds: float) -> Attempt:
        name = self.entry.name
        if voted is None:
            cost = cost_of(self.prices, 0, tokens)
            return Attempt(name, None, 0, 0, tokens, cost, seconds, error="given up", estimated=True)
        spent = voted.spent
        cost = cost_of(self.prices, spent.input_tokens, spent.output_tokens, spent.cached_tokens)
        return Attempt(name, 200, spent.input_tokens, spent.cached_tokens, spent.output_tokens, cost, seconds)
