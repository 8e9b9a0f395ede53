"""The sixteen faults that a gateway must survive, as data, and what must hold of each.

A case names what the primary and the fallback do (behaviours of `provider.py`), whether the answer is streamed, and
what must be seen. Whoever runs one (the failover alone, a gateway over HTTP, a benchmark) makes a `Seen` of what the
client got and what the providers were asked, and gives both to `problems_of`, which is empty where the case passes.

The settings assume `TIMEOUTS` and `RETRIES`: short, so that all of it takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TIMEOUTS: dict[str, float] = {"connect": 0.5, "first_token": 0.4, "stall": 0.3, "total": 5.0}
RETRIES: dict[str, float] = {"attempts": 2, "base": 0.02, "cap": 1.0, "budget": 0.2}
BREAKER: dict[str, float] = {"failures": 5, "rest": 0.3}
TOO_LONG = "context_length_exceeded"
LONGEST = 3.0
"""Seconds within which every case must have ended: nothing hangs."""


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        name: Of the fault.
        primary: What the first target does.
        fallback: What the second does; None where there is none.
        stream: Whether the answer is asked for as a stream.
        ends: How it must end for the client: `ok` (whole answer), `cut` (an error after content, no `[DONE]`)
            or `refused` (the upstream's own 4xx).
        primary_asked: Fewest and most requests that the primary may get for it.
        fallback_asked: The same of the fallback.
        tokens: Words that the client must have got, in order and once; None where it does not matter.
        status: What the client must get where it is an error.
        code: The error's code.
        least: Fewest seconds it may take, such as a `Retry-After`.
        times: How often the request is made, each checked alike.
    """

    name: str
    primary: str
    fallback: str | None
    stream: bool
    ends: str
    primary_asked: tuple[int, int] = (1, 1)
    fallback_asked: tuple[int, int] = (1, 1)
    tokens: int | None = 60
    status: int | None = None
    code: str | None = None
    least: float = 0.0
    times: int = 1


@dataclass
class Seen:
    """What came of one request.

    Attributes:
        status: HTTP status.
        text: What the client could read of the answer.
        done: Whether the answer was ended as whole: a JSON body, or `[DONE]` at the end of a stream.
        failed: Whether an error was told after content.
        error: The error object, where one came.
        seconds: Until the end.
        primary: Requests that the primary got.
        fallback: Requests that the fallback got.
        accounted: Attempts in the account; None where it cannot be seen.
        charged: Answer tokens in the account; None where it cannot be seen.
    """

    status: int
    text: str = ""
    done: bool = False
    failed: bool = False
    error: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    primary: int = 0
    fallback: int = 0
    accounted: int | None = None
    charged: int | None = None


CASES = (
    Case("429 with Retry-After", "first-1-status-429-retry-after-0.2", None, False, "ok", (2, 2), (0, 0), least=0.2),
    Case("429 persistent", "status-429", "ok", False, "ok", (1, 2)),
    Case("500 once", "first-1-status-500", None, False, "ok", (2, 2), (0, 0)),
    Case("503 persistent", "status-503", "ok", True, "ok", (1, 2)),
    Case("reset before headers", "reset", "ok", True, "ok", (1, 2)),
    Case("silence", "silent", "ok", False, "ok"),
    Case("slow first token", "slow-first-3", "ok", True, "ok"),
    Case("stream cut at 40 of 60", "cut-40", "ok", True, "cut", (1, 1), (0, 0), 40),
    Case("stall", "stall-10", "ok", True, "cut", (1, 1), (0, 0), 10),
    Case("malformed chunk", "malformed-20", "ok", True, "cut", (1, 1), (0, 0), 20),
    Case("no [DONE]", "no-done", "ok", True, "ok", (1, 1), (0, 0)),
    Case("context-length 400", "context-length", "ok", False, "refused", (1, 1), (0, 0), 0, 400, TOO_LONG),
    Case("content-filter 400", "content-filter", "ok", True, "refused", (1, 1), (0, 0), 0, 400, "content_filter"),
    Case("fallback rejects prefill", "cut-40", "no-prefill", True, "cut", (1, 1), (0, 0), 40),
    Case("flapping primary", "flap-status-500", "ok", False, "ok", (0, 1), (0, 1), times=6),
    Case("accounting of fail-over", "cut-0", "ok", True, "ok", (1, 2)),
)  # fmt: skip
"""Each case's fallback holds no more context than its primary, so that a request that is too long goes nowhere."""


def words(n: int) -> str:
    """The provider's answer of so many tokens."""
    return "".join(f"w{i} " for i in range(n))


def problems_of(case: Case, seen: Seen) -> list[str]:
    """Everything about what was seen that the case does not allow."""
    return [*_ending(case, seen), *_sent(case, seen), *_accounted(case, seen)]


def truncated_as_success(seen: Seen) -> bool:
    """Whether the client was told that an answer is whole which is not."""
    return seen.status == 200 and seen.done and not seen.failed and seen.text != words(60)


def _ending(case: Case, seen: Seen) -> list[str]:
    found = []
    if seen.seconds > LONGEST or seen.seconds < case.least:
        found.append(f"took {seen.seconds:.2f} s, not {case.least} to {LONGEST}")
    if truncated_as_success(seen):
        found.append(f"{len(seen.text.split())} of 60 tokens were given as a whole answer")
    if case.tokens is not None and seen.text != words(case.tokens):
        found.append(f"the text is not tokens 0 to {case.tokens}: ...{seen.text[-30:]!r}")
    whole, cut = (seen.status == 200 and seen.done and not seen.failed), (seen.failed and not seen.done)
    ended = {"ok": whole, "cut": cut, "refused": seen.status == case.status}
    if not ended[case.ends]:
        found.append(f"did not end as {case.ends!r}: status {seen.status}, done {seen.done}, failed {seen.failed}")
    if case.code is not None and seen.error.get("code") != case.code:
        found.append(f"error code {seen.error.get('code')!r}, not {case.code!r}")
    return found


def _sent(case: Case, seen: Seen) -> list[str]:
    found = []
    for who, count, (least, most) in (
        ("primary", seen.primary, case.primary_asked),
        ("fallback", seen.fallback, case.fallback_asked),
    ):
        if not least <= count <= most:
            found.append(f"{who} was asked {count} times, not {least} to {most}")
    return found


def _accounted(case: Case, seen: Seen) -> list[str]:
    found = []
    if seen.accounted is not None and seen.accounted != seen.primary + seen.fallback:
        found.append(f"{seen.accounted} attempts in the account, {seen.primary + seen.fallback} were sent")
    if seen.charged is not None and case.tokens is not None and seen.charged != case.tokens:
        found.append(f"{seen.charged} answer tokens charged, {case.tokens} came")
    return found
