"""Executes plans: asks whom the router, or the client, chose, in the way that the target answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any
from urllib.parse import quote

from pydantic_core import from_json

from forethought.gateway.base import Account, ClientRequest, Delivery, Plan
from forethought.gateway.config import GatewayConfig
from forethought.gateway.execution.abstention import abstain
from forethought.gateway.execution.ballots import VoteFailed
from forethought.gateway.execution.building import bytes_shown
from forethought.gateway.execution.completion import CompletionWriter, delivered, is_completion, usage_of
from forethought.gateway.execution.escalation import looks_wrong, next_dearer, without_logprobs
from forethought.gateway.execution.request_body import (
    CHAT,
    TEXT,
    as_it_comes,
    is_routed,
    passed_through,
    routed_body,
    whole_and_sure,
)
from forethought.gateway.execution.reserve import Bounds, Reserve
from forethought.gateway.execution.voting import Voter, can_vote, vote_headers, voters_of
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams.base import Upstream, UpstreamRequest
from forethought.gateway.upstreams.failover import Failover
from forethought.gateway.upstreams.refusal import refusal_of
from forethought.gateway.upstreams.rung import Rung
from forethought.targets.pool import PoolEntry

Form = Callable[[ClientRequest, dict[str, Any], PoolEntry], UpstreamRequest]
"""How an answer is asked for: as the client wants it, or whole."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A whole answer that nothing was shown of yet.

    Attributes:
        target: Who gave it.
        completion: OpenAI's object.
        sure: How sure a vote was; None for a plain answer, which says so in its tokens.
        headers: For the client.
    """

    target: str
    completion: dict[str, Any]
    sure: float | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def looks_wrong(self, threshold: float) -> bool:
        if self.sure is not None and self.sure < threshold:
            return True
        return looks_wrong(self.completion, threshold)


class Executor:
    """Turns a plan into an answer on its way to the client.

    - A target that the client named gets the request as it came.
    - A chosen target gets the client's request with what its policy adds; the plan's other targets are asked in
      order where it fails.
    - A target that votes answers by a vote where the request wants one plain text; any other request it answers once.
    - With `cascade.confidence` set, an answer that looks wrong is asked for again of the next dearer target.

    For a key with a budget, what is asked never costs more than `reserve` said: whoever it would not cover any more
    is not asked.

    Args:
        config: Targets and settings.
        upstreams: By target.
        failover: Asks them.
        voters: By target, for those that vote; by default as the configuration says.

    Raises:
        ConfigError: A vote that cannot be taken.
    """

    def __init__(
        self,
        config: GatewayConfig,
        upstreams: Mapping[str, Upstream],
        failover: Failover,
        *,
        voters: Mapping[str, Voter] | None = None,
    ) -> None:
        self._config = config
        self._upstreams = upstreams
        self._failover = failover
        self._voters = voters_of(config, upstreams, failover) if voters is None else voters
        self._entries = {entry.name: entry for entry in config.target}
        self._prices = config.prices
        caps = {name: voter.cap for name, voter in self._voters.items()}
        self._reserve = Reserve(config, caps, bytes_shown(config))

    def reserve(self, request: ClientRequest, plan: Plan) -> int:
        """Most that a plan can cost, nanodollars; targets without prices cost nothing.

        Raises:
            Problem: 400 `not_boundable`, it can cost any amount.
        """
        return self._bounds(request, plan).plan(plan)

    async def deliver(self, request: ClientRequest, plan: Plan, account: Account) -> Delivery:
        """Answer a request.

        Returns:
            An answer, or an upstream's refusal of the request itself.

        Raises:
            Problem: There is none.
        """
        if not plan.targets:
            return abstain(request, self._config.abstention, account)
        bounds = None
        if request.key.daily_budget is not None:
            bounds = self._bounds(request, plan)
            account.allowance = bounds.plan(plan)
        if plan.decision is None and not is_routed(request):
            entry = self._entries[plan.targets[0]]
            return await self._failover.forward(self._rung(entry, passed_through(request, entry), bounds), account)
        work = _Work(self, request, plan, account, bounds)
        if self._config.cascade.confidence is not None and request.path in (CHAT, TEXT):
            return await work.escalate(self._config.cascade.confidence, self._config.cascade.steps)
        return await work.ask()

    def _bounds(self, request: ClientRequest, plan: Plan) -> Bounds:
        return self._reserve.bounds(request, routed=plan.decision is not None or is_routed(request))

    def _voter(self, request: ClientRequest, name: str) -> Voter | None:
        return self._voters.get(name) if can_vote(request) else None

    def _rung(self, entry: PoolEntry, request: UpstreamRequest, bounds: Bounds | None) -> Rung:
        name = entry.name
        bound = 0 if bounds is None else bounds.attempt(name)
        return Rung(name, self._upstreams[name], request, self._prices.get(name), entry.context, bound)


class _Work:
    """One routed request on its way through its plan."""

    def __init__(
        self, executor: Executor, request: ClientRequest, plan: Plan, account: Account, bounds: Bounds | None
    ) -> None:
        self._executor = executor
        self._request = request
        self._plan = plan
        self._account = account
        self._bounds = bounds
        self._until = asyncio.get_running_loop().time() + executor._config.timeouts.total

    async def ask(self) -> Delivery:
        """The answer of the first of the plan's targets that can give it."""
        found = await self._first(list(self._plan.targets), as_it_comes)
        return found if isinstance(found, Delivery) else self._delivered(found, [])

    async def escalate(self, threshold: float, steps: int) -> Delivery:
        """The first answer that does not look wrong, or the last."""
        found = await self._first(list(self._plan.targets), whole_and_sure)
        if (answer := self._read(found)) is None:
            assert isinstance(found, Delivery)
            return found
        asked = [answer.target]
        while answer.looks_wrong(threshold) and len(asked) <= steps:
            tried = {attempt.target for attempt in self._account.attempts}
            dearer = next_dearer(self._plan, asked[-1], self._executor._prices, tried)
            better = None if dearer is None else await self._better(dearer)
            if better is None:
                break  # an answer that may be wrong is still more than none
            answer = better
            asked.append(answer.target)
        self._account.ending = "ok"
        return self._delivered(answer, asked)

    async def _better(self, name: str) -> _Answer | None:
        """Another target's answer, None where there is none."""
        if not self._affordable([name]):
            return None
        try:
            return self._read(await self._first([name], whole_and_sure))
        except Problem:
            return None

    async def _first(self, names: list[str], form: Form) -> Delivery | _Answer:
        """The first answer, or an upstream's refusal.

        Raises:
            Problem: There is none.
        """
        try:
            async with asyncio.timeout_at(self._until):
                return await self._in_order(names, form)
        except TimeoutError:
            problem = Problem(504, "The request took longer than the gateway allows.", code="deadline")
        except Problem as error:
            problem = error
        self._account.ending = "failed"
        raise problem

    async def _in_order(self, names: list[str], form: Form) -> Delivery | _Answer:
        executor, request, account = self._executor, self._request, self._account
        while True:
            name, voter = names[0], executor._voter(request, names[0])
            try:
                if voter is not None:
                    names = names[1:]
                    answer = await self._vote(name, voter)
                    account.ending = "ok"
                    return answer
                plain = list(takewhile(lambda each: executor._voter(request, each) is None, names))
                names = names[len(plain) :]
                return await self._plain(plain, form)
            except VoteFailed as failure:
                problem: Problem = failure.problem
                if failure.refused is not None:
                    names = self._after_refusal(names, name, failure.refused)
                    if not names:
                        account.ending = "refused"
                        return failure.refused
            except Problem as error:
                problem = error
            if not (names := self._affordable(names)):
                raise problem

    async def _plain(self, names: Sequence[str], form: Form) -> Delivery:
        """One answer of the first of these targets that can give it."""
        executor, request = self._executor, self._request
        entries = [executor._entries[name] for name in names]
        rungs = [
            executor._rung(entry, form(request, routed_body(request, entry), entry), self._bounds) for entry in entries
        ]
        return await executor._failover.deliver(rungs, self._account)

    async def _vote(self, name: str, voter: Voter) -> _Answer:
        """A target's answer by a vote.

        Raises:
            VoteFailed: No answer could be had.
        """
        request, account = self._request, self._account
        before = len(account.attempts)
        voted = await voter.vote(request, account, 0 if self._bounds is None else self._bounds.attempt(name))
        spent = account.attempts[before:]
        usage = usage_of(
            sum(attempt.input_tokens for attempt in spent),
            sum(attempt.output_tokens for attempt in spent),
            sum(attempt.cached_tokens for attempt in spent),
        )
        finish = "length" if voted.response.finish == "length" else "stop"
        writer = CompletionWriter.to(request, self._executor._entries[name].model)
        completion = writer.whole(voted.response.text, finish, usage)
        return _Answer(name, completion, voted.verdict.confidence, vote_headers(voted))

    def _after_refusal(self, names: list[str], name: str, refused: Delivery) -> list[str]:
        """Whom to ask after an upstream refused the request itself: only for its length, and only larger ones."""
        entries = self._executor._entries
        size = entries[name].context
        if size is None or refusal_of(refused.status, {}, refused.body or b"").verdict != "too-long":
            return []
        return [each for each in names if (entries[each].context or 0) > size]

    def _affordable(self, names: list[str]) -> list[str]:
        """Those of the targets that the reservation still covers; what failed or looked wrong may have cost a part."""
        bounds, account = self._bounds, self._account
        return names if bounds is None else [name for name in names if account.covers(bounds.target(name))]

    def _read(self, found: Delivery | _Answer) -> _Answer | None:
        """A whole answer's completion; None of an upstream's refusal.

        Raises:
            Problem: 502, it is no completion.
        """
        if isinstance(found, _Answer):
            return found
        if found.status >= 400 or found.body is None or found.target is None:
            return None
        completion = from_json(found.body)
        if not is_completion(completion, self._request.path):
            raise Problem(502, "No target for this request gave a completion.", code="upstream_unavailable")
        return _Answer(found.target, completion)

    def _delivered(self, answer: _Answer, asked: Sequence[str]) -> Delivery:
        """An answer for the client, without what only the gateway wanted to know."""
        completion, headers = answer.completion, dict(answer.headers)
        if not self._request.body.get("logprobs"):
            completion = without_logprobs(completion)
        if len(asked) > 1:
            headers["x-forethought-escalated"] = ",".join(map(quote, asked))
        return delivered(self._request, completion, answer.target, headers)
