"""How the report writes numbers: shares, points, money, and each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Found: TypeAlias = Mapping[str, Any]
"""An `Interval` as plain data: value, low, high, n."""

NOTHING = "n/a"
MINUS = "\u2212"


def percent(share: float | None) -> str:
    """A share as a percentage: 0.571 is 57.1%."""
    return NOTHING if share is None else _minus(f"{100 * share:.1f}%")


def change(share: float | None) -> str:
    """A relative change, signed: -0.34 is −34.0%."""
    return NOTHING if share is None else _minus(f"{100 * share:+.1f}%")


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, signed: 0.032 is +3.2."""
    return NOTHING if difference is None else _minus(f"{100 * difference:+.1f}")


def decimal(value: float | None) -> str:
    """Three decimals."""
    return NOTHING if value is None else _minus(f"{value:.3f}")


def signed(value: float | None) -> str:
    """Three decimals with the sign."""
    return NOTHING if value is None else _minus(f"{value:+.3f}")


def usd(amount: float | None) -> str:
    """Money: whole cents from a dollar on, three significant digits below."""
    if amount is None:
        return NOTHING
    size = abs(amount)
    if size >= 1000:
        text = f"{size:,.0f}"
    elif size >= 1 or size == 0:
        text = f"{size:,.2f}"
    else:
        text = f"{size:.3g}" if size >= 1e-4 else f"{size:.2e}"
    return f"{MINUS if amount < 0 else ''}${text}"


def per_thousand(amount: float | None) -> str:
    """USD of one question told for a thousand of them."""
    return usd(None if amount is None else 1000 * amount)


def ranged(found: Found | None, write: Callable[[float | None], str]) -> str:
    """A number and its interval: 57.1% [54.0%, 60.2%]."""
    if found is None:
        return "undefined"
    return f"{write(found['value'])} {bracket(found, write)}"


def bracket(found: Found, write: Callable[[float | None], str]) -> str:
    """The interval alone."""
    if found["low"] is None or found["high"] is None:
        return "[interval undefined]"
    return f"[{write(found['low'])}, {write(found['high'])}]"


def excludes_zero(found: Found | None) -> bool:
    """Whether the whole interval lies on one side of zero."""
    if found is None or found["low"] is None or found["high"] is None:
        return False
    return bool(found["low"] > 0 or found["high"] < 0)


def wilson(share: float | None, n: int) -> Found:
    """A share of n questions with its 95 % Wilson interval, for shares that come without a bootstrap."""
    from scipy.stats import binomtest

    if share is None or n < 1:
        return {"value": share, "low": None, "high": None, "n": n}
    low, high = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return {"value": share, "low": min(float(low), share), "high": max(float(high), share), "n": n}


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
