"""The most that a request can cost, before any of it is spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from forethought.core import Prices
from forethought.gateway.base import ClientRequest, Plan
from forethought.gateway.config import GatewayConfig
from forethought.gateway.execution.request_body import CHAT, LIMITS
from forethought.gateway.money import cost_of
from forethought.targets.pool import PoolEntry

TOKENS_PER_MESSAGE = 16
"""Most tokens that a chat template puts around one message."""

TOKENS_PER_IMAGE = 4096
"""Most prompt tokens of an image that is told by its address."""

_MOST_TOKENS = 10**12
_MOST = 2**62


class Reserve:
    """Upper bounds of what requests cost, in nanodollars.

    A token is at least a byte, so the body's length bounds the prompt; the limits of the request, the policy or
    the pool file bound the answer. Targets that are only asked where others failed do not add up: an attempt that
    fails before its first token costs nothing, and `Executor` asks nobody whom the reservation would not cover.

    Args:
        config: Targets, prices, and whether answers escalate or are hedged.
        caps: Most answers of the targets that vote.
        shown: Bytes of the solved examples that few-shot targets are shown.
    """

    def __init__(self, config: GatewayConfig, caps: Mapping[str, int], shown: Mapping[str, int]) -> None:
        self._entries = {entry.name: entry for entry in config.target}
        self._prices = {name: _dearest(prices) for name, prices in config.prices.items()}
        self._caps = caps
        self._shown = shown
        steps = 0 if config.cascade.confidence is None else config.cascade.steps
        self._paid = 1 + steps + (config.retries.hedge_after is not None)

    def of(self, request: ClientRequest, plan: Plan, *, routed: bool) -> int:
        """Most that a plan costs: its dearest target, with every escalation and a hedge its next dearest.

        Args:
            request: What is asked.
            plan: Whom.
            routed: Whether policies, votes and escalations apply.
        """
        bounds = [self.target(request, name, routed=routed) for name in plan.targets]
        paid = self._paid if routed else 1
        return min(_MOST, sum(sorted(bounds, reverse=True)[:paid]))

    def target(self, request: ClientRequest, name: str, *, routed: bool) -> int:
        """Most that one target's answer costs, all its votes included."""
        prices = self._prices.get(name)
        if prices is None:
            return 0
        entry = self._entries[name]
        prompts = self._prompt_tokens(request, entry, routed)
        return self._answers(request, name, routed) * cost_of(prices, prompts, _answer_tokens(request, entry, routed))

    def _prompt_tokens(self, request: ClientRequest, entry: PoolEntry, routed: bool) -> int:
        messages = request.body.get("messages")
        tokens = len(request.raw) + TOKENS_PER_MESSAGE * (2 + (len(messages) if isinstance(messages, list) else 0))
        tokens += TOKENS_PER_IMAGE * request.raw.count(b"image_url")
        if routed or entry.base_url is None:
            tokens += len((entry.policy.system or "").encode()) + self._shown.get(entry.name, 0)
        return tokens

    def _answers(self, request: ClientRequest, name: str, routed: bool) -> int:
        asked = max(1, *(_count(request.body.get(field)) for field in ("n", "best_of")))
        prompts = request.body.get("prompt")
        if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int):
            asked *= len(prompts)
        return max(asked, self._caps.get(name, 1)) if routed else asked


def _answer_tokens(request: ClientRequest, entry: PoolEntry, routed: bool) -> int:
    """Most tokens of one answer."""
    if request.path == "/embeddings":
        return 0
    if told := max(_count(request.body.get(field)) for field in LIMITS):
        return told
    filled = (routed and request.path in (CHAT, "/completions")) or entry.base_url is None
    return entry.policy.max_tokens if filled else entry.max_output


def _count(value: Any) -> int:
    return min(value, _MOST_TOKENS) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _dearest(prices: Prices) -> Prices:
    return replace(prices, input=max(prices.input, prices.cached_input or 0.0), cached_input=None)
