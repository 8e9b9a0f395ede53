"""From a request to what is done for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from forethought.core import Decision
from forethought.gateway.base import ClientRequest, Plan, Reading
from forethought.gateway.config import ROUTED, GatewayConfig
from forethought.gateway.problems import Problem
from forethought.gateway.routing.capabilities import absent_models, demand, lacking, unroutable
from forethought.gateway.routing.conversations import (
    CHARACTERS_PER_TOKEN,
    Conversations,
    Kept,
    conversation_id,
    gain,
    lost_cache,
)
from forethought.gateway.routing.policies import PolicyNames, order, value_of_success
from forethought.gateway.routing.reading import Turns, read_turns

if TYPE_CHECKING:
    from forethought.allocation import Policy
    from forethought.gateway.routing.host import RouterHost
    from forethought.gateway.routing.loaded import Features
    from forethought.router import Router

log = logging.getLogger(__name__)

SAFE = "safe"
"""Rule of a decision that was made without the router."""

_ROUTED_PATHS = ("/chat/completions", "/completions")


class Planner:
    """Chooses who answers: a target that the client named, or the router's choice among those that can.

    Args:
        config: The gateway's file.
        host: Reads and decides; None where targets are only served by name.
        kept_target: Who answered a conversation last since a Unix time, by whatever process.
        on_fallback: Told why a decision was made without the router: `timeout`, `features` or `decision`.

    Raises:
        ConfigError: A policy of the configuration cannot be made.
    """

    def __init__(
        self,
        config: GatewayConfig,
        host: RouterHost | None,
        *,
        kept_target: Callable[[str, float], Awaitable[str | None]] | None = None,
        on_fallback: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._config = config
        self._host = host
        self._kept_target = kept_target
        self._on_fallback = on_fallback
        self._named = {entry.name: Plan((entry.name,)) for entry in config.target}
        self._entries = {entry.name: entry for entry in config.target}
        self._prices = config.prices
        self._policies = PolicyNames(config.policies)
        self._conversations = Conversations(config.conversations.keep)
        absent = absent_models() if host is not None else frozenset()
        self._unroutable = {entry.name: lack for entry in config.target if (lack := unroutable(entry, absent))}

    async def plan(self, request: ClientRequest, *, excluded: frozenset[str] = frozenset()) -> Plan:
        """Plan a request.

        Args:
            request: Well formed.
            excluded: Targets that must not be asked, such as dear ones after a spent quota.

        Raises:
            Problem: 404 for a model that is not there, 400 for what cannot be routed or what no target can do,
                429 where only excluded targets could.
        """
        named = self._named.get(request.model)
        if named is not None:
            if request.model in excluded:
                raise _quota()
            return named
        policy, host = self._asked(request)
        turns = read_turns(request)
        router = host.current
        allowed = self._allowed(router, request, excluded)
        try:
            async with asyncio.timeout(self._config.decision_seconds):
                features = await host.read(turns.question(host.system))
        except TimeoutError:
            return self._safe("timeout", router, allowed, request, turns)
        except Exception as error:  # an encoder can fail in its own ways; the client is answered all the same
            log.warning("a request could not be read: %s", type(error).__name__)
            return self._safe("features", router, allowed, request, turns)
        if features.router is not router:
            router = features.router
            allowed = self._allowed(router, request, excluded)
        return await self._decide(policy or router.policy, features, allowed, request, turns)

    def answered(self, plan: Plan, target: str) -> None:
        """Remember who answered a conversation.

        Args:
            plan: Of the request.
            target: Who answered.
        """
        if plan.conversation is not None:
            self._conversations.keep(plan.conversation, target)

    def _asked(self, request: ClientRequest) -> tuple[Policy | None, RouterHost]:
        """The rule that is asked for, None for the router's own, and the router's host."""
        name, slash, policy = request.model.partition("/")
        if name != ROUTED or self._host is None:
            there = [*self._named, *([] if self._host is None else [ROUTED, f"{ROUTED}/<policy>"])]
            raise Problem(
                404,
                f"no model {request.model[:200]!r}; there are {', '.join(there)}",
                code="model_not_found",
                param="model",
            )
        if request.path not in _ROUTED_PATHS:
            raise Problem(
                400,
                f"{request.path} is not routed; name one of {', '.join(self._named)} as the model",
                code="not_routable",
                param="model",
            )
        return self._policies[policy[:200]] if slash else None, self._host

    def _allowed(self, router: Router, request: ClientRequest, excluded: frozenset[str]) -> list[str]:
        """The router's targets that are configured and can do what is asked.

        Raises:
            Problem: 400 where none can, 429 where only excluded ones can.
        """
        asked = demand(request)
        lacks: dict[str, str] = {}
        able = []
        for name in router.heads.names:
            entry = self._entries.get(name)
            if entry is None:
                continue
            if lack := self._unroutable.get(name) or ", ".join(lacking(asked, entry)):
                lacks[name] = lack
            else:
                able.append(name)
        if not able:
            raise _incapable(lacks)
        allowed = [name for name in able if name not in excluded] if excluded else able
        if not allowed:
            raise _quota()
        return allowed

    async def _decide(
        self, policy: Policy, features: Features, allowed: list[str], request: ClientRequest, turns: Turns
    ) -> Plan:
        # A system prompt that the encoder says itself is not asked about, and is read all the same.
        unread = max(0, features.of - features.read)
        router, read = features.router, max(0, turns.routed - unread)
        # Targets are sent all turns, and all of them cost: the encoder's count is of what it read.
        tokens = features.encoder_tokens + (turns.characters - read) / CHARACTERS_PER_TOKEN
        try:
            every = len(allowed) == len(router.heads.names)  # to say so would cost a fifth more
            decision = router.decide(features.blocks, tokens, allowed=None if every else allowed, policy=policy)
        except Exception as error:  # a rule of a plugin can fail in its own ways
            log.warning("a request could not be decided: %s", type(error).__name__)
            return self._safe("decision", router, allowed, request, turns)
        decision = self._without_free_costs(decision)
        reading = Reading(read, turns.routed, features.encoder_tokens, features.logits, features.projection)
        id = self._conversation(request, turns)
        if decision.target is None:
            return Plan((), decision, reading, id)
        note = ""
        if id is not None and (turns.answered or request.conversation is not None):
            kept = await self._kept(id)
            if kept is not None and kept.target in allowed and kept.target != decision.target:
                decision, note = self._keep(decision, kept, policy, turns)
        return Plan(order(policy, decision, allowed), decision, reading, id, note)

    def _keep(self, decision: Decision, kept: Kept, policy: Policy, turns: Turns) -> tuple[Decision, str]:
        """The decision that a conversation leaves of the router's, and what to say of it."""
        tokens = (turns.characters - len(turns.user)) / CHARACTERS_PER_TOKEN
        price = lost_cache(self._prices.get(kept.target), tokens)
        more = gain(decision, kept.target, value_of_success(policy, self._config.conversations.value))
        if more > price:
            return decision, f"conversation moved from {kept.target}: {more:.2g} USD gained, {price:.2g} of cache lost"
        reason = f"kept {kept.target} in its conversation ({more:.2g} USD to gain, {price:.2g} of cache to lose)"
        note = f"conversation kept with {kept.target}; the router's choice: {decision.reason}"
        return replace(decision, target=kept.target, reason=reason), note

    def _conversation(self, request: ClientRequest, turns: Turns) -> str | None:
        """Under which id to keep the target; a single completion is no conversation unless the client says so."""
        if self._config.conversations.keep == 0:
            return None
        if request.conversation is None and request.path == "/completions":
            return None
        return conversation_id(request, turns)

    async def _kept(self, id: str) -> Kept | None:
        kept = self._conversations.get(id)
        if kept is not None or self._kept_target is None:
            return kept
        try:
            target = await self._kept_target(id, time.time() - self._config.conversations.keep)
        except Exception as error:  # without the ledger a conversation is routed anew, and still answered
            log.warning("who answered a conversation could not be looked up: %s", type(error).__name__)
            return None
        return None if target is None else Kept(target, 0.0)

    def _safe(self, reason: str, router: Router, allowed: list[str], request: ClientRequest, turns: Turns) -> Plan:
        """The plan without the router: the target that its certificate calls safe, else the dearest."""
        self._on_fallback(reason)
        dearest = sorted(allowed, key=self._price, reverse=True)
        certified = (router.manifest.get("certificate") or {}).get("safe")
        first = certified if certified in allowed else dearest[0]
        why = f"fell back to the safe target ({reason})"
        decision = Decision(first, (), SAFE, {}, f"{first}: {why}", router.artifact)
        targets = (first, *(name for name in dearest if name != first))
        return Plan(targets, decision, None, self._conversation(request, turns), why)

    def _price(self, name: str) -> float:
        prices = self._prices[name]
        return prices.input + prices.output

    def _without_free_costs(self, decision: Decision) -> Decision:
        """A target whose price nobody knows costs something unknown, and not nothing."""
        if all(prediction.target in self._prices for prediction in decision.predictions):
            return decision
        told = (p if p.target in self._prices else p._replace(cost_usd=None) for p in decision.predictions)
        return replace(decision, predictions=tuple(told))


def _incapable(lacks: dict[str, str]) -> Problem:
    said = "; ".join(f"{name} lacks {lack}" for name, lack in lacks.items()) or "the router knows none of the targets"
    return Problem(400, f"no target can do what is asked: {said}", code="no_capable_target")


def _quota() -> Problem:
    return Problem(429, "only targets whose quota is spent could answer this", code="quota_exhausted")
