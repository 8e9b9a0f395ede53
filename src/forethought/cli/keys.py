"""`forethought keys`: make, list and end the gateway's keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import App, Parameter
from rich.markup import escape

from forethought.cli.console import notes, print_json, print_table
from forethought.errors import ConfigError

if TYPE_CHECKING:
    from forethought.gateway.ledger import Ledger

T = TypeVar("T")

app = App(name="keys", help="Make, list and end the gateway's keys.")


@app.command
def create(
    name: str,
    *,
    scope: Literal["client", "admin"] = "client",
    daily_budget: float | None = None,
    rate: float | None = None,
    dear_share: float | None = None,
    ledger: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Make a key and print it, this once: the ledger keeps only a hash.

    Example: `forethought keys create team-a --daily-budget 20 --rate 50`

    Args:
        name: For people.
        scope: `client` asks; `admin` may also give feedback and read every decision.
        daily_budget: USD that it may spend in a UTC day.
        rate: Requests per second.
        dear_share: Largest share of a day's requests that dear targets may get.
        ledger: URL of the ledger, as in the gateway file; by default the SQLite file of a gateway without one.
        json: Print one JSON object.
    """
    from forethought.gateway.base import Key
    from forethought.gateway.keys import new_key
    from forethought.gateway.money import nanodollars

    _check(daily_budget, rate, dear_share)
    id, text, digest = new_key()
    budget = None if daily_budget is None else nanodollars(daily_budget)
    _with_ledger(ledger, lambda open_: open_.create_key(Key(id, name, scope, budget, rate, dear_share), digest))
    if json:
        print_json({"id": id, "name": name, "scope": scope, "key": text})
        return
    print(text)
    notes.print(f"This key is shown once. `forethought keys revoke {id}` ends it.")


@app.command(name="list")
def list_(*, ledger: str | None = None, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """List every key with its limits and what it spent today (UTC).

    Example: `forethought keys list --json`

    Args:
        ledger: URL of the ledger.
        json: Print one JSON array; money in nanodollars.
    """
    keys = _with_ledger(ledger, lambda open_: open_.keys())
    if json:
        print_json(keys)
        return
    print_table(
        "Keys", ("id", "name", "scope", "budget a day", "spent today", "a second", "dear", "made", "state"), _rows(keys)
    )


@app.command
def revoke(id: str, *, ledger: str | None = None) -> None:
    """End a key; a running gateway refuses it once its short memory of keys has passed.

    Example: `forethought keys revoke q3Zr0aBx`

    Args:
        id: As `forethought keys list` shows it.
        ledger: URL of the ledger.
    """
    if not _with_ledger(ledger, lambda open_: open_.revoke_key(id)):
        raise ConfigError(f"no key {id!r} that lives; `forethought keys list` shows them")
    print(f"revoked {id}")


def _check(daily_budget: float | None, rate: float | None, dear_share: float | None) -> None:
    if daily_budget is not None and not 0 <= daily_budget <= 1e9:
        raise ConfigError(f"daily-budget must be in [0, 1e9] USD, got {daily_budget:g}")
    if rate is not None and not 0 < rate < float("inf"):
        raise ConfigError(f"rate must be > 0 requests per second, got {rate:g}")
    if dear_share is not None and not 0 <= dear_share <= 1:
        raise ConfigError(f"dear-share must be in [0, 1], got {dear_share:g}")


def _with_ledger(url: str | None, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Do something with a ledger, opened for it alone."""
    from forethought.gateway.config import GatewayConfig
    from forethought.gateway.ledger import Ledger

    async def done() -> T:
        opened = Ledger(GatewayConfig.model_fields["ledger"].default if url is None else url)
        await opened.start()
        try:
            return await work(opened)
        finally:
            await opened.close()

    return asyncio.run(done())


def _rows(keys: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            key["id"],
            escape(key["name"]),
            key["scope"],
            _dollars(key["daily_budget"]),
            _dollars(key["spent"]),
            _limit(key["requests_per_second"]),
            _limit(key["dear_share"]),
            _day(key["created_at"]),
            "lives" if key["revoked_at"] is None else f"revoked {_day(key['revoked_at'])}",
        )
        for key in keys
    ]


def _dollars(nanodollars: int | None) -> str:
    from forethought.gateway.money import usd

    return "-" if nanodollars is None else f"${usd(nanodollars):,.4f}"


def _limit(limit: float | None) -> str:
    return "-" if limit is None else f"{limit:g}"


def _day(at: float) -> str:
    from forethought.gateway.ledger.records import day_of

    return day_of(at)
