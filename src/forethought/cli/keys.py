"""`forethought keys`: make, list and end the gateway's keys, and forget what they asked."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from forethought.cli.console import console, notes, print_json
from forethought.errors import ConfigError

if TYPE_CHECKING:
    from forethought.gateway.ledger import Ledger

T = TypeVar("T")

_ID_WIDTH = 8
"""Characters of an id."""

app = App(name="keys", help="Make, list and end the gateway's keys, and forget what they asked.")


@app.command
def create(
    name: str,
    file: Path | None = None,
    *,
    scope: Literal["client", "admin"] = "client",
    daily_budget: float | None = None,
    rate: float | None = None,
    dear_share: float | None = None,
    ledger: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Make a key and print it, this once: the ledger keeps only a hash.

    Example: `forethought keys create team-a gateway.toml --daily-budget 20 --rate 50`

    Args:
        name: For people.
        file: Gateway file, whose ledger it is.
        scope: `client` asks; `admin` may also give feedback and read every decision.
        daily_budget: USD that it may spend in a UTC day.
        rate: Requests per second.
        dear_share: Largest share of a day's requests that dear targets may get.
        ledger: URL of the ledger, instead of the file's; by default the SQLite file of a gateway without a file.
        json: Print one JSON object.
    """
    from forethought.gateway.base import Key
    from forethought.gateway.keys import new_key
    from forethought.gateway.money import nanodollars

    _check(daily_budget, rate, dear_share)
    id, text, digest = new_key()
    budget = None if daily_budget is None else nanodollars(daily_budget)
    _with_ledger(
        _url(file, ledger), lambda open_: open_.create_key(Key(id, name, scope, budget, rate, dear_share), digest)
    )
    if json:
        print_json({"id": id, "name": name, "scope": scope, "key": text})
        return
    print(text)
    _note(f"This key is shown once. `{keys_command('revoke', id, file=file, ledger=ledger)}` ends it.")


@app.command(name="list")
def list_(
    file: Path | None = None, *, ledger: str | None = None, json: Annotated[bool, Parameter(negative=())] = False
) -> None:
    """List every key with its limits and what it spent today (UTC).

    Example: `forethought keys list gateway.toml --json`

    Args:
        file: Gateway file, whose ledger it is.
        ledger: URL of the ledger, instead of the file's.
        json: Print one JSON array; money in nanodollars.
    """
    keys = _with_ledger(_existing(file, ledger), lambda open_: open_.keys())
    with _while_read():
        if json:
            print_json(keys)
        else:
            console.print(_table(keys))


@app.command
def revoke(id: str, file: Path | None = None, *, ledger: str | None = None) -> None:
    """End a key; a running gateway refuses it once its short memory of keys has passed.

    Example: `forethought keys revoke q3Zr0aBx gateway.toml`

    Args:
        id: As `forethought keys list` shows it.
        file: Gateway file, whose ledger it is.
        ledger: URL of the ledger, instead of the file's.
    """
    url = _existing(file, ledger)

    async def work(open_: Ledger) -> None:
        if not await open_.revoke_key(id):
            listed = keys_command("list", file=file, ledger=ledger)
            raise ConfigError(f"no key {id!r} that lives in {_described(url)}; `{listed}` shows them")

    _with_ledger(url, work)
    print(f"revoked {id}")


@app.command
def forget(id: str, file: Path | None = None, *, ledger: str | None = None) -> None:
    """Delete every decision of a key with its attempts and outcomes; the key itself, and what it spent, stay.

    Example: `forethought keys forget q3Zr0aBx gateway.toml`

    Args:
        id: As `forethought keys list` shows it, or `local` for what was asked on loopback without a key.
        file: Gateway file, whose ledger it is.
        ledger: URL of the ledger, instead of the file's.
    """
    from forethought.gateway.base import LOCAL

    url = _existing(file, ledger)

    async def work(open_: Ledger) -> int:
        if id not in (LOCAL.id, *(key["id"] for key in await open_.keys())):
            listed = keys_command("list", file=file, ledger=ledger)
            raise ConfigError(f"no key {id!r} in {_described(url)}; `{listed}` shows them")
        return await open_.forget_key(id)

    print(f"forgot {_with_ledger(url, work)} decisions of {id}")


def keys_command(*words: str, file: Path | None, ledger: str | None) -> str:
    """A command of this verb as a shell reads it, on the ledger that was named so; without the password of a URL."""
    from forethought.gateway.ledger.database import shown

    place = ["--ledger", shown(ledger)] if ledger is not None else [] if file is None else [str(file)]
    return shlex.join(["forethought", "keys", *words, *place])


def _check(daily_budget: float | None, rate: float | None, dear_share: float | None) -> None:
    if daily_budget is not None and not 0 <= daily_budget <= 1e9:
        raise ConfigError(f"daily-budget must be in [0, 1e9] USD, got {daily_budget:g}")
    if rate is not None and not 0 < rate < float("inf"):
        raise ConfigError(f"rate must be > 0 requests per second, got {rate:g}")
    if dear_share is not None and not 0 <= dear_share <= 1:
        raise ConfigError(f"dear-share must be in [0, 1], got {dear_share:g}")


def _url(file: Path | None, ledger: str | None) -> str:
    """The ledger's URL."""
    from forethought.gateway.config import GatewayConfig, read_config

    default: str = GatewayConfig.model_fields["ledger"].default
    return ledger or (default if file is None else read_config(file).ledger)


def _existing(file: Path | None, ledger: str | None) -> str:
    """The URL of a ledger that is there.

    Raises:
        ConfigError: There is no such file.
    """
    from forethought.gateway.ledger.database import Database

    url = _url(file, ledger)
    found = Database(url).file
    if found is not None and not found.is_file():
        make = keys_command("create", "NAME", file=file, ledger=ledger)
        other = "; or name a gateway file, or --ledger" if file is None and ledger is None else ""
        raise ConfigError(f"there is no ledger {found.absolute()}; `{make}` makes one{other}")
    return url


def _described(url: str) -> str:
    from forethought.gateway.ledger.database import Database

    return str(Database(url))


def _with_ledger(url: str, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Do something with a ledger, opened for it alone, and say which it was."""
    from forethought.gateway.ledger import Ledger

    async def done() -> T:
        opened = Ledger(url)
        await opened.start()
        try:
            return await work(opened)
        finally:
            await opened.close()

    result = asyncio.run(done())
    _note(f"in {_described(url)}")
    return result


def _note(text: str) -> None:
    """Say something on stderr, in one line that can be copied."""
    notes.print(text, soft_wrap=True, markup=False)


@contextmanager
def _while_read() -> Iterator[None]:
    """Write to stdout for as long as it is read: `head` has enough before the end."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or what is left would fail at exit
        raise SystemExit(1) from None


def _table(keys: list[dict[str, Any]]) -> Table:
    """Fits 80 columns; ids are never broken."""
    table = Table(title="Keys", title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for name in ("id", "name", "scope", "a day", "spent", "rate", "dear", "made", "state"):
        table.add_column(
            name,
            no_wrap=name not in ("name", "dear", "rate"),
            justify="right" if name in ("a day", "spent", "rate", "dear") else "left",
            min_width=_ID_WIDTH if name == "id" else None,
            overflow="fold",
        )
    for row in _rows(keys):
        table.add_row(*row)
    return table


def _rows(keys: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            key["id"],
            escape(key["name"]),
            key["scope"],
            _dollars(key["daily_budget"], 2),
            _dollars(key["spent"], 4),
            _limit(key["requests_per_second"]),
            _limit(key["dear_share"]),
            _day(key["created_at"]),
            "lives" if key["revoked_at"] is None else f"revoked\n{_day(key['revoked_at'])}",
        )
        for key in keys
    ]


def _dollars(nanodollars: int | None, digits: int) -> str:
    from forethought.gateway.money import usd

    if nanodollars is None:
        return "-"
    exact = round(usd(nanodollars), digits) == usd(nanodollars)
    return f"${usd(nanodollars):,.{digits if exact else 4}f}"


def _limit(limit: float | None) -> str:
    return "-" if limit is None else f"{limit:g}"


def _day(at: float) -> str:
    from forethought.gateway.ledger.records import day_of

    return day_of(at)
