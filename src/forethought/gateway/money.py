"""Money as integers, so that sums are exact and a budget is never a rounding error over."""

from __future__ import annotations

from math import ceil

from forethought.core import Prices

NANO = 1_000_000_000
"""Nanodollars in a US dollar: a token at 0.001 USD per million is one."""


def nanodollars(usd: float) -> int:
    """USD as nanodollars, rounded up, but for what is less than a millionth of one and only binary noise."""
    return ceil(usd * NANO - 1e-6)


def usd(amount: int) -> float:
    """Nanodollars as USD."""
    return amount / NANO


def cost_of(prices: Prices | None, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
    """Nanodollars of so many tokens; 0 where no price is configured."""
    return 0 if prices is None else nanodollars(prices.cost(input_tokens, output_tokens, cached_tokens))
