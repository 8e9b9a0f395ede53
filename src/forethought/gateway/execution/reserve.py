"""The most that a request can cost, before any of it is spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from forethought.core import Prices
from forethought.gateway.base import ClientRequest, Plan
from forethought.gateway.config import GatewayConfig
from forethought.gateway.execution.boundable import extent_of, texts_in
from forethought.gateway.execution.request_body import CHAT, LIMITS, TEXT
from forethought.gateway.money import cost_of
from forethought.targets.pool import PoolEntry

TOKENS_PER_MESSAGE = 16
"""Most tokens that a chat template puts around one message."""

TOKENS_PER_TEMPLATE = 128
"""Most that it puts around all of them: a system turn of its own (about 70 tokens in gpt-oss) and the answer's head."""

TOKENS_FOR_TOOLS = 1024
"""Most that a provider adds to explain that there are tools (some 350 to 800 at Anthropic)."""

TOKENS_PER_IMAGE = 49_152
"""Most prompt tokens of an image: gpt-4o-mini counts 2,833 and 5,667 for each of at most 8 tiles, which is 48,169."""

_MOST_TOKENS = 10**12
_MOST = 2**62


class Reserve:
    """Upper bounds of what requests cost, in nanodollars.

    They hold for an upstream that follows OpenAI's API, and bills at the prices of the pool file, for these reasons:

    - A token of its prompt is at least a byte of the body's text. Its template adds no more than
      `TOKENS_PER_MESSAGE`, `TOKENS_PER_TEMPLATE` and `TOKENS_FOR_TOOLS` say, an image takes no more than
      `TOKENS_PER_IMAGE`, and nothing else comes into the prompt: `extent_of` refuses whatever could bring it.
    - An answer ends at the limit that was sent, hidden reasoning included, and one is always sent: the client's, the
      policy's or the entry's. `n` answers cost at most so many prompts and answers.
    - An attempt that failed before anything of it was shown is not billed where it told no usage.

    Targets that are only asked where others failed do not add up: nobody is asked whom what is left would not cover.

    Args:
        config: Targets, prices, and whether answers escalate or are hedged.
        caps: Most answers of the targets that vote.
        shown: Bytes of the solved examples that few-shot targets are shown.
    """

    def __init__(self, config: GatewayConfig, caps: Mapping[str, int], shown: Mapping[str, int]) -> None:
        self.entries = {entry.name: entry for entry in config.target}
        self.prices = {name: _dearest(prices) for name, prices in config.prices.items()}
        self.caps = caps
        self.shown = shown
        steps = 0 if config.cascade.confidence is None else config.cascade.steps
        self.paid = 1 + steps + (config.retries.hedge_after is not None)

    def bounds(self, request: ClientRequest, *, routed: bool) -> Bounds:
        """The bounds of one request.

        Args:
            request: What is asked.
            routed: Whether policies, votes and escalations apply.

        Raises:
            Problem: 400 `not_boundable`, it can cost any amount.
        """
        return Bounds(self, request, routed)


class Bounds:
    """What one request can cost.

    Args:
        reserve: Prices and limits.
        request: What is asked.
        routed: Whether policies, votes and escalations apply.

    Raises:
        Problem: 400 `not_boundable`.
    """

    __slots__ = ("_answers", "_copies", "_limit", "_path", "_prompt", "_reserve", "_routed")

    def __init__(self, reserve: Reserve, request: ClientRequest, routed: bool) -> None:
        written, turns, images, tools = extent_of(request)
        self._reserve = reserve
        self._routed = routed
        self._path = request.path
        self._prompt = written + TOKENS_PER_TEMPLATE + TOKENS_PER_MESSAGE * turns
        self._prompt += TOKENS_PER_IMAGE * images + TOKENS_FOR_TOOLS * tools
        self._limit = max((_count(request.body.get(field)) for field in LIMITS[request.path]), default=0)
        self._copies = max(1, *(_count(request.body.get(field)) for field in ("n", "best_of")))
        self._answers = self._copies * (texts_in(request.body.get("prompt")) if request.path == TEXT else 1)

    def plan(self, plan: Plan) -> int:
        """Most that a plan costs: its dearest target, with every escalation and a hedge its next dearest."""
        bounds = sorted(map(self.target, plan.targets), reverse=True)
        return min(_MOST, sum(bounds[: self._reserve.paid if self._routed else 1]))

    def target(self, name: str) -> int:
        """Most that one target's answer costs, all its votes included."""
        votes = self._reserve.caps.get(name, 1) if self._routed else 1
        return votes * self.attempt(name)

    def attempt(self, name: str) -> int:
        """Most that one request to a target costs."""
        reserve = self._reserve
        prices, entry = reserve.prices.get(name), reserve.entries[name]
        if prices is None:
            return 0
        prompt = self._prompt
        if self._routed or entry.base_url is None:
            system = len((entry.policy.system or "").encode())
            prompt += system + TOKENS_PER_MESSAGE * bool(system) + reserve.shown.get(name, 0)
        return cost_of(prices, self._copies * prompt, self._answers * self._longest(entry))

    def _longest(self, entry: PoolEntry) -> int:
        """Most tokens of one answer."""
        if self._limit or not LIMITS[self._path]:
            return self._limit
        filled = (self._routed and self._path in (CHAT, TEXT)) or entry.base_url is None
        return entry.longest_answer if filled else entry.max_output


def _count(value: Any) -> int:
    return min(value, _MOST_TOKENS) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _dearest(prices: Prices) -> Prices:
    return replace(prices, input=max(prices.input, prices.cached_input or 0.0), cached_input=None)
