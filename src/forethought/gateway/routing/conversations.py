"""A conversation keeps its target: another one would have to read all of it anew."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from forethought.core import Decision, Prices
from forethought.gateway.base import ClientRequest
from forethought.gateway.routing.reading import Turns

CHARACTERS_PER_TOKEN = 4
"""Of a prompt, whose tokens nobody has counted."""


class Kept(NamedTuple):
    """Who answered a conversation last.

    Attributes:
        target: Its name.
        until: When it is forgotten, by the clock of the table.
    """

    target: str
    until: float


class Conversations:
    """Who answered which conversation last, as far as this process knows.

    Args:
        seconds: How long after its last answer.
        most: Conversations at once; the longest silent one gives way.
        clock: Seconds that only rise.
    """

    def __init__(self, seconds: float, *, most: int = 65536, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, id: str) -> Kept | None:
        """Who answered last, None where it is not known or too long ago."""
        kept = self._kept.get(id)
        if kept is not None and kept.until <= self._clock():
            del self._kept[id]
            return None
        return kept

    def keep(self, id: str, target: str) -> None:
        """Remember who answered."""
        self._kept[id] = Kept(target, self._clock() + self._seconds)
        self._kept.move_to_end(id)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


def conversation_id(request: ClientRequest, turns: Turns) -> str:
    """Names a conversation of one key: by the id that the client gave, or by how it began."""
    given = request.conversation
    parts = ("id", given) if given is not None else ("turns", turns.system, turns.first)
    hashed = sha256()
    for part in (request.key.id, *parts):
        encoded = part.encode("utf-8", "surrogatepass")
        hashed.update(b"%d:" % len(encoded))
        hashed.update(encoded)
    return hashed.hexdigest()[:32]


def gain(decision: Decision, kept: str, value: float) -> float:
    """USD that the chosen target is expected to be worth more than the kept one.

    Args:
        decision: With a target.
        kept: Name of the target that answered last.
        value: USD of one more right answer.
    """
    expected = {prediction.target: prediction for prediction in decision.predictions}
    assert decision.target is not None
    new, old = expected[decision.target], expected[kept]
    return value * (new.success - old.success) - ((new.cost_usd or 0.0) - (old.cost_usd or 0.0))


def lost_cache(prices: Prices | None, tokens: float) -> float:
    """USD that a conversation's prompt costs more where no prefix cache holds it; 0 where caching is not priced.

    Args:
        prices: Of the target that may hold it.
        tokens: Of the conversation so far.
    """
    if prices is None or prices.cached_input is None:
        return 0.0
    return tokens * (prices.input - prices.cached_input) / 1e6
