"""Cascade with escalation: an answer that looks wrong is asked for again, of the next dearer target.

Where `allocation.Cascade` chooses before generation, this one judges what was generated (FrugalGPT, arXiv 2305.05176).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import exp, isfinite
from typing import Any

from forethought.core import Prices
from forethought.gateway.base import Plan

_FILTERED = "content_filter"


def looks_wrong(completion: Mapping[str, Any], threshold: float) -> bool:
    """Whether an answer should be asked for again: cut, empty, or less sure than the threshold.

    An answer of unknown confidence is kept, and one that a filter withheld is nobody else's to give.
    """
    return any(_looks_wrong(choice, threshold) for choice in completion["choices"])


def confidence_of(choice: Mapping[str, Any]) -> float | None:
    """The geometric mean of the tokens' probabilities; None where they were not told."""
    told = choice.get("logprobs")
    if not isinstance(told, dict):
        return None
    if isinstance(told.get("content"), list):
        values = [token.get("logprob") for token in told["content"] if isinstance(token, dict)]
    else:
        values = told.get("token_logprobs") or []
    known = [float(value) for value in values if isinstance(value, int | float) and isfinite(value)]
    return min(1.0, exp(sum(known) / len(known))) if known else None


def without_logprobs(completion: dict[str, Any]) -> dict[str, Any]:
    """The completion for a client that did not ask for them."""
    return {**completion, "choices": [{**choice, "logprobs": None} for choice in completion["choices"]]}


def next_dearer(plan: Plan, current: str, prices: Mapping[str, Prices], tried: Collection[str] = ()) -> str | None:
    """The next dearer of a plan's targets: by expected cost of this request, then by price; None after the dearest.

    Args:
        plan: Whose targets are allowed.
        current: Who answered.
        prices: By target.
        tried: Who has answered, or failed, already.
    """
    expected = {p.target: p.cost_usd or 0.0 for p in (plan.decision.predictions if plan.decision else ())}

    def dearness(name: str) -> tuple[float, float, float]:
        price = prices.get(name)
        return expected.get(name, 0.0), price.output if price else 0.0, price.input if price else 0.0

    dearer: Sequence[str] = [name for name in plan.targets if name not in tried and dearness(name) > dearness(current)]
    return min(dearer, key=dearness, default=None)


def _looks_wrong(choice: Mapping[str, Any], threshold: float) -> bool:
    finish = choice.get("finish_reason")
    if finish == _FILTERED:
        return False
    if finish == "length" or _is_empty(choice):
        return True
    confidence = confidence_of(choice)
    return confidence is not None and confidence < threshold


def _is_empty(choice: Mapping[str, Any]) -> bool:
    message = choice.get("message")
    if not isinstance(message, dict):
        return not str(choice.get("text") or "").strip()
    said = message.get("content"), message.get("refusal")
    return not any(str(part or "").strip() for part in said) and not message.get("tool_calls")
