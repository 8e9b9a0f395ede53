"""One request from its plan to its line in the ledger: admit, deliver, settle."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from forethought.gateway.base import Account, Attempt, ClientRequest, Delivery, Key, Plan
from forethought.gateway.disclosure import (
    LOST_COMMENT,
    Headers,
    cost_comment,
    cost_header,
    decision_headers,
    failover_headers,
)
from forethought.gateway.ledger import BudgetSpent, Closing, LedgerLost, Opening, QuotaSpent
from forethought.gateway.money import nanodollars
from forethought.gateway.problems import Problem
from forethought.gateway.upstreams import UpstreamFailure

if TYPE_CHECKING:
    from forethought.gateway.services import Services

log = logging.getLogger(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""ASGI's `send`."""

ENCODER = "encoder"
"""Whose attempt in the ledger is the reading of a prompt."""

CLIENT_GONE = 499
"""Status in the ledger where the client hung up before it had one."""


@dataclass(slots=True)
class Exchange:
    """A well-formed request while it is served.

    A decision is in the ledger before money is spent on it, and on disk with its account before the client hears the
    end: a whole answer, and the last event of a streamed one, are sent when what they cost is durable.

    Attributes:
        services: What the gateway is made of.
        request: What is asked.
        plan: What is done about it.
        account: What it has cost so far.
        day: Whose budget it counts in; empty until it is admitted, and where the ledger could not be written.
        target: Who answers, once somebody does.
        status: What the client was told, once it was.
        admitted: Whether it was ever handed to the ledger.
        settled: Whether the account has been handed to the ledger.
        told: Whether a response has begun.
    """

    services: Services
    request: ClientRequest
    plan: Plan = field(default_factory=lambda: Plan(()))
    account: Account = field(default_factory=Account)
    started: float = field(default_factory=time.perf_counter)
    day: str = ""
    target: str | None = None
    status: int = CLIENT_GONE
    admitted: bool = False
    settled: bool = False
    told: bool = False

    async def run(self, send: Send) -> None:
        """Serve the request; whatever happens, its account is settled once.

        Raises:
            CutShort: The answer broke off after the client had seen a part of it.
        """
        try:
            await self._serve(send)
        except Problem as problem:
            self.status = problem.status
            await self._settle()
            await self._tell(problem, send)
        except asyncio.CancelledError:
            if not self.settled:
                self.account.ending = "cancelled"
            await self._settle()
            raise
        except CutShort:
            raise
        except Exception:
            self.status = 500
            await self._settle()
            raise

    async def _serve(self, send: Send) -> None:
        services = self.services
        self.plan = await services.planner.plan(self.request)
        await self._admit()
        delivery = await services.executor.deliver(self.request, self.plan, self.account)
        self.status, self.target = delivery.status, delivery.target
        if delivery.target is not None and delivery.status < 400 and self.plan.conversation is not None:
            services.planner.answered(self.plan, delivery.target)
        if delivery.pieces is None:
            await self._send_whole(delivery, send)
        else:
            await self._send_pieces(delivery, delivery.pieces, send)

    async def _admit(self) -> None:
        """Record the decision and reserve its cost; a spent quota is planned around, or told."""
        key, dear = self.request.key, self.services.dear
        if key.dear_share is not None and self.plan.targets and self.plan.targets[0] not in dear:
            self._keep_off(dear)
        try:
            await self._open()
        except QuotaSpent:
            if self.plan.decision is None:
                raise _quota(key) from None
            self.plan = await self.services.planner.plan(self.request, excluded=dear)
            await self._open()

    def _keep_off(self, dear: frozenset[str]) -> None:
        """Fall back to no dear target where none was paid for out of the key's quota."""
        self.plan = replace(self.plan, targets=tuple(name for name in self.plan.targets if name not in dear))

    async def _open(self) -> None:
        key, opening = self.request.key, self._opening()
        # Before it is written: a client that hangs up meanwhile is settled all the same.
        self.admitted, self.day = True, opening.day
        try:
            await self.services.ledger.admit(opening)
        except BudgetSpent:
            self.day = ""
            raise _budget(key) from None
        except QuotaSpent:
            self.day = ""
            raise
        except LedgerLost:
            self.day = ""
            self.services.metrics.ledger_lost()
            if key.daily_budget is not None or key.dear_share is not None:
                raise Problem(
                    503,
                    "the ledger cannot be written, and a key with a budget or quota is not served without it",
                    code="ledger_unavailable",
                    headers={"retry-after": "5"},
                ) from None

    def _opening(self) -> Opening:
        request, plan, services = self.request, self.plan, self.services
        return Opening(
            id=request.id,
            at=time.time(),
            key=request.key,
            path=request.path,
            model=request.model,
            stream=request.stream,
            plan=plan,
            reserve=0 if request.key.daily_budget is None else self._most(),
            dear=bool(plan.targets) and plan.targets[0] in services.dear,
            text=services.text_of(request) if plan.decision is not None else None,
        )

    async def _send_whole(self, delivery: Delivery, send: Send) -> None:
        await self._settle()
        body = delivery.body or b""
        head = [(b"content-length", str(len(body)).encode()), cost_header(self.account.cost)]
        await send(self._start(delivery, head))
        await send({"type": "http.response.body", "body": body})

    async def _send_pieces(self, delivery: Delivery, pieces: AsyncGenerator[bytes, None], send: Send) -> None:
        try:
            async with asyncio.timeout(self.services.config.timeouts.total), aclosing(pieces):
                await send(self._start(delivery, [(b"cache-control", b"no-cache")]))
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except UpstreamFailure as failure:
            self.account.ending = "truncated"
            await self._settle()
            await send({"type": "http.response.body", "body": _cut(failure), "more_body": True})
            raise CutShort from failure
        except TimeoutError as error:  # a client that does not read holds an upstream no longer than any other
            self.account.ending = "cancelled"
            await self._settle()
            raise CutShort from error
        await self._settle()
        await send({"type": "http.response.body", "body": self._last_comments() + delivery.last})

    def _last_comments(self) -> bytes:
        """What the headers of a stream could not say yet."""
        said = b"" if self.plan.decision is None else cost_comment(self.account.cost)
        return said if self.day or not self.admitted else said + LOST_COMMENT

    def _start(self, delivery: Delivery, more: Headers) -> dict[str, Any]:
        self.told = True
        given = [(name.encode(), value.encode()) for name, value in delivery.headers.items()]
        kind = (b"content-type", delivery.content_type.encode())
        headers = [kind, *more, *self._headers(), *given]
        return {"type": "http.response.start", "status": delivery.status, "headers": headers}

    def _headers(self) -> Headers:
        recorded = (b"x-forethought-recorded", b"true" if self.day else b"false")
        chosen = self.plan.targets[0] if self.plan.targets else None
        failed = any(attempt.error and attempt.target == chosen for attempt in self.account.attempts)
        instead = failover_headers(chosen) if failed and chosen != self.target else []
        return [*decision_headers(self.request.id, self.plan, self.target), *instead, recorded]

    async def _tell(self, problem: Problem, send: Send) -> None:
        self.told = True
        headers = self._headers() if self.day else []
        await send_problem(problem, send, [*headers, cost_header(self.account.cost)] if headers else [])

    async def _settle(self) -> None:
        """Write how it ended, once, and however it ends for the client.

        Where it cannot be written the client is served, and the account waits for the ledger.
        """
        if self.settled:
            return
        self.settled = True
        self._log_failures()
        self._charge_reading()
        seconds = time.perf_counter() - self.started
        self.services.metrics.observe(self.request, self.plan, self.account, self.status, self.target, seconds)
        if not self.day:
            return
        try:
            await asyncio.shield(self.services.settle(self._closing(seconds)))
        except LedgerLost:
            self.day = ""

    def _log_failures(self) -> None:
        for attempt in self.account.attempts:
            if attempt.error and attempt.error != "cancelled":
                log.warning("request %s: target %s failed: %s", self.request.id, attempt.target, attempt.error)

    def _charge_reading(self) -> None:
        """Enter what the encoder read: its prefill is part of what a routed answer costs."""
        if self.admitted and (cost := self._reading_cost()):
            reading = self.plan.reading
            assert reading is not None
            self.account.attempts.append(Attempt(ENCODER, input_tokens=reading.encoder_tokens, cost=cost))

    def _most(self) -> int:
        """Nanodollars that the request can cost at most."""
        answers = self.services.executor.reserve(self.request, self.plan) if self.plan.targets else 0
        return answers + self._reading_cost()

    def _reading_cost(self) -> int:
        """Nanodollars of the encoder's prefill."""
        reading, price = self.plan.reading, self.services.config.encoder.price
        return 0 if reading is None else nanodollars(price * reading.encoder_tokens / 1e6)

    def _closing(self, seconds: float) -> Closing:
        return Closing(
            id=self.request.id,
            at=time.time(),
            key=self.request.key,
            ending=self.account.ending,
            status=self.status,
            target=self.target,
            attempts=tuple(self.account.attempts),
            seconds=seconds,
            admitted=self.day,
        )


class CutShort(Exception):  # noqa: N818 - it ends a connection, nobody handles it as an error
    """An answer broke off after its beginning had been sent: the connection must not end as a success does."""


async def send_problem(problem: Problem, send: Send, more: Headers | None = None) -> None:
    """Tell a client why its request ends."""
    body = problem.body
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode()) for name, value in problem.headers.items()),
        *(more or []),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _cut(failure: UpstreamFailure) -> bytes:
    error = {
        "message": f"the answer broke off: {failure}",
        "type": "server_error",
        "param": None,
        "code": "stream_truncated",
    }
    return b"data: " + to_json({"error": error}) + b"\n\n"


def _budget(key: Key) -> Problem:
    return Problem(
        429,
        f"key {key.id!r} has spent its budget of the day, or what is left is less than this may cost",
        code="budget_exhausted",
        headers={"retry-after": str(_seconds_to_midnight())},
    )


def _quota(key: Key) -> Problem:
    return Problem(
        429,
        f"key {key.id!r} may send at most {key.dear_share:g} of a day's requests to dear targets",
        code="quota_exhausted",
        headers={"retry-after": str(_seconds_to_midnight())},
    )


def _seconds_to_midnight() -> int:
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1, int((midnight - now).total_seconds()))
