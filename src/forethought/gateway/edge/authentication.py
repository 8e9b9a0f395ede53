"""Who asks: bearer keys, compared with the digests in the ledger."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from forethought.gateway.base import LOCAL, Key
from forethought.gateway.edge.headers import Headers
from forethought.gateway.edge.origin import require_loopback_host, require_same_origin
from forethought.gateway.keys import digest, matches, parse_key
from forethought.gateway.ledger.errors import LedgerLost
from forethought.gateway.problems import Problem

Lookup = Callable[[str], Awaitable[tuple[Key, bytes] | None]]
"""The ledger's `key`: a key that was not revoked, with the digest of its secret."""

KEPT_SECONDS = 1.0
"""How long an answer of the ledger is kept, from before it was asked: a revoked key ends within this time."""

STALE_SECONDS = 60.0
"""How long the ledger's last answer holds where it cannot be read: a restart or a failover of its database passes in
less, and a key that is revoked meanwhile, which takes a ledger that can be written, lives no longer than this."""

PATIENCE_SECONDS = 0.5
"""How long a key that is known waits for a ledger that says nothing at all, which takes seconds to be found lost."""

MOST_KEYS = 10_000
MOST_UNKNOWN = 1_000
"""Ids kept that are no key; apart from the keys, so that guessing does not push those out."""

_NOBODY = digest("")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the ledger said of an id, as of when, and until when it is not asked again."""

    key: Key | None
    digest: bytes
    told: float
    until: float


class Keyring:
    """Verifies keys.

    Args:
        lookup: Reads one key by its id.
        any_key: Whether a key was ever made.
        loopback: Whether only this machine can reach the gateway; then, and only until a first key is made,
            everybody is `LOCAL`, who must come by a loopback name and from no other site.
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        lookup: Lookup,
        any_key: Callable[[], Awaitable[bool]],
        *,
        loopback: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._any_key = any_key
        self._clock = clock
        self._known: dict[str, _Entry] = {}
        self._unknown: dict[str, _Entry] = {}
        self._asked: dict[str, asyncio.Future[_Entry]] = {}
        self._keyless_until = 0.0
        self._keyless_stale = 0.0
        self._may_be_keyless = loopback
        self._own_secret = secrets.token_bytes(32)

    async def authenticate(self, headers: Headers) -> Key:
        """The key of a request.

        Raises:
            Problem: 401, the same for every cause; 403 for `LOCAL` under a foreign name or from another site; 503
                where the ledger cannot be read, unless it was within the last minute.
        """
        parsed = _bearer(headers.get(b"authorization"))
        if parsed is None:  # whoever shows a key is held to it, even before its making is noticed
            if not self._may_be_keyless or not await self._is_keyless():
                raise _unauthorised()
            require_loopback_host(headers)
            require_same_origin(headers)
            return LOCAL
        id, secret = parsed
        entry = self._known.get(id) or self._unknown.get(id)
        if entry is None or entry.until <= self._clock():
            entry = await self._ask_once(id)
        right = matches(secret, entry.digest)
        if entry.key is None or not right:
            raise _unauthorised()
        return entry.key

    def secret_of(self, key: Key) -> bytes:
        """What seeds the tokens of a key that was just let in: the same in every process that shares a ledger.

        `LOCAL` has no digest: its tokens are this process's own.
        """
        entry = self._known.get(key.id)
        return self._own_secret if entry is None else entry.digest

    async def _is_keyless(self) -> bool:
        now = self._clock()
        if now < self._keyless_until:
            return True
        try:
            if await self._any_key():
                self._may_be_keyless = False
                return False
        except LedgerLost:
            if now >= self._keyless_stale:
                raise _unreadable() from None
        else:
            self._keyless_stale = now + STALE_SECONDS
        self._keyless_until = now + KEPT_SECONDS
        return True

    async def _ask_once(self, id: str) -> _Entry:
        """Ask the ledger, once for all who wait for the same id."""
        if (asked := self._asked.get(id)) is None:
            asked = self._asked[id] = asyncio.ensure_future(self._ask(id))
            asked.add_done_callback(lambda _: self._asked.pop(id, None))
        now = self._clock()
        try:
            async with asyncio.timeout(None if self._lately(id, now) is None else PATIENCE_SECONDS):
                return await asyncio.shield(asked)
        except TimeoutError:
            return self._stale(id, now)

    async def _ask(self, id: str) -> _Entry:
        now = self._clock()
        try:
            found = await self._lookup(id)
        except LedgerLost:
            return self._stale(id, now)
        self._known.pop(id, None)
        self._unknown.pop(id, None)
        if found is None:
            return _keep(self._unknown, MOST_UNKNOWN, id, _Entry(None, _NOBODY, now, now + KEPT_SECONDS))
        return _keep(self._known, MOST_KEYS, id, _Entry(*found, now, now + KEPT_SECONDS))

    def _lately(self, id: str, now: float) -> _Entry | None:
        """What was known of a key within the last minute."""
        entry = self._known.get(id)
        return None if entry is None or now - entry.told >= STALE_SECONDS else entry

    def _stale(self, id: str, now: float) -> _Entry:
        """What was known of a key, for another while in which the ledger is left alone."""
        if (entry := self._lately(id, now)) is None:
            raise _unreadable()
        entry = self._known[id] = replace(entry, until=self._clock() + KEPT_SECONDS)
        return entry


def _keep(entries: dict[str, _Entry], most: int, id: str, entry: _Entry) -> _Entry:
    if len(entries) >= most:
        del entries[next(iter(entries))]
    entries[id] = entry
    return entry


def _bearer(value: bytes | None) -> tuple[str, str] | None:
    """Id and secret of a bearer key; None for anything else."""
    if value is None or value[:7].lower() != b"bearer " or not value.isascii():
        return None
    return parse_key(value[7:].strip().decode("ascii"))


def _unauthorised() -> Problem:
    return Problem(
        401,
        "no valid key; send one as `Authorization: Bearer ft-...`",
        code="invalid_api_key",
        headers={"www-authenticate": "Bearer"},
    )


def _unreadable() -> Problem:
    return Problem(
        503,
        "the ledger cannot be read, so no key can be known",
        code="ledger_unavailable",
        headers={"retry-after": "5"},
    )
