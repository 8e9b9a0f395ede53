"""The nouns that pass between the gateway's rooms: who asks, what is asked, what is planned, what came of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from forethought.core import Decision

Scope = Literal["client", "admin"]

Ending = Literal["ok", "abstained", "refused", "failed", "truncated", "cancelled"]
"""How a request ended: answered; not answered by rule; an upstream refused the request itself (a 4xx); no upstream
could be had; cut after the client had seen a part; the client hung up."""


@dataclass(frozen=True, slots=True)
class Key:
    """Who asks, and what they may spend. The secret itself is kept nowhere.

    Attributes:
        id: Names the key in the ledger and in the key itself.
        name: For people.
        scope: `client` asks, `admin` may also give feedback and read every decision.
        daily_budget: Nanodollars a UTC day; None without a cap.
        requests_per_second: Rate limit; None without one.
        dear_share: Largest share of a day's requests that dear targets may get, in [0, 1]; None without a quota.
    """

    id: str
    name: str = ""
    scope: Scope = "client"
    daily_budget: int | None = None
    requests_per_second: float | None = None
    dear_share: float | None = None


LOCAL = Key(id="local", name="loopback without keys", scope="admin")
"""Everybody, where the gateway is bound to loopback and no key was ever made."""


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A well-formed request.

    Attributes:
        id: Of the decision; also the request's id in logs and headers.
        path: Below the API's root: `/chat/completions`, `/completions`, `/responses` or `/embeddings`.
        raw: The body's bytes as they came.
        body: The same, parsed.
        key: Who asks.
        headers: Those that upstreams are shown, lower case.
        conversation: The conversation's id where the client gave one.
    """

    id: str
    path: str
    raw: bytes
    body: dict[str, Any]
    key: Key
    headers: Mapping[str, str] = field(default_factory=dict)
    conversation: str | None = None

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body["model"])

    @property
    def stream(self) -> bool:
        """Whether the answer is wanted as it is made."""
        return self.body.get("stream") is True


@dataclass(frozen=True, slots=True)
class Reading:
    """What the router read of a request, kept so that nothing later needs the text.

    Attributes:
        read: Characters that the encoder read.
        of: Characters of the system prompt and the last user turn.
        encoder_tokens: Prompt length in the encoder.
        logits: Uncalibrated log-odds of success of each target, in the router's order.
        projection: The features on the probe's subspace, 64 floats at most.
    """

    read: int
    of: int
    encoder_tokens: int
    logits: tuple[float, ...] = ()
    projection: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for a request.

    Attributes:
        targets: Names in the order in which they are asked; the first is the chosen one. Empty to abstain.
        decision: The router's, None where the client named the target.
        reading: What the router read, None where it read nothing.
        conversation: Id under which the target is kept; None outside conversations.
        note: What else decided, such as a conversation kept or a fallback to the safe target.
    """

    targets: tuple[str, ...]
    decision: Decision | None = None
    reading: Reading | None = None
    conversation: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to one upstream, billed or not.

    Attributes:
        target: Name of the target.
        status: HTTP status; None where no response came.
        input_tokens: Prompt tokens charged.
        cached_tokens: Of these, the ones a prefix cache served.
        output_tokens: Answer tokens charged.
        cost: Nanodollars.
        seconds: From the request to its end.
        first_seconds: From the request to the first token; None where none came.
        error: Why it failed, empty where it did not.
        estimated: Whether the tokens are the gateway's count because the upstream told none.
    """

    target: str
    status: int | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    seconds: float = 0.0
    first_seconds: float | None = None
    error: str = ""
    estimated: bool = False


@dataclass(slots=True)
class Account:
    """What a request cost so far; every attempt is entered, whatever became of the client.

    Attributes:
        attempts: In the order in which they ended.
        ending: How the request ended; `failed` until something better is known.
        allowance: Most that it may cost, nanodollars: what was reserved of a key's budget; None without one.
        held: What the attempts under way may cost, nanodollars.
    """

    attempts: list[Attempt] = field(default_factory=list)
    ending: Ending = "failed"
    allowance: int | None = None
    held: int = 0

    @property
    def cost(self) -> int:
        """Nanodollars in all."""
        return sum(attempt.cost for attempt in self.attempts)

    def covers(self, most: int) -> bool:
        """Whether one more attempt, of at most this cost, keeps within the allowance."""
        return self.allowance is None or self.cost + self.held + most <= self.allowance


@dataclass(slots=True)
class Delivery:
    """An answer on its way to the client: whole, or in pieces.

    A streamed answer has shown its first token when a Delivery exists, so that everything before was free to be
    tried elsewhere. Its `pieces` hold back the event that ends the answer (`[DONE]`, or `response.completed`): it is
    in `last` once they are exhausted, and is sent when the account is durable. Pieces raise `UpstreamFailure` where
    the stream was cut; whoever stops reading must `aclose` them, which closes the upstream's connection and enters
    the attempt.

    Attributes:
        status: HTTP status to give.
        content_type: Of the answer.
        target: Who answered; None where nobody did.
        body: The whole answer, None where it is streamed.
        pieces: The streamed answer's bytes, None where it is whole.
        last: The event that ends a streamed answer, known once `pieces` are exhausted.
        headers: More to give, such as `retry-after`.
    """

    status: int
    content_type: str
    target: str | None
    body: bytes | None = None
    pieces: AsyncGenerator[bytes, None] | None = None
    last: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
