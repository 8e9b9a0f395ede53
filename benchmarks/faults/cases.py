"""The sixteen faults of `tests/gateway/faults.py` through a whole gateway over HTTP, each in a gateway of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from faults import BREAKER, RETRIES, TIMEOUTS, Case, Seen, problems_of, truncated_as_success
from http_client import chat, get
from load import Endpoint
from planted import FALLBACK, NAMES, PRIMARY, save_router
from provider import Provider
from provider import running as providing
from servers import create_key, free_port
from servers import running as started

from forethought.bench import Figure

SCRIPT = Path(__file__).with_name("planted.py")
CLOSED_WITHIN = 2.0
"""Seconds that the account of an answer that failed may take after it."""
TOKENS = 64
"""More than the provider answers, so that nothing is cut short by the request itself."""


def fault_figures(cases: Sequence[Case], folder: Path) -> dict[str, Figure]:
    """How many are survived; what was wrong with each other is told on stderr."""
    save_router(folder / "router")
    ledger = f"sqlite:///{folder / 'ledger.sqlite'}"
    key = create_key(ledger, "bench", 1.0)
    passed = truncated = 0
    with providing() as primary, providing() as fallback:
        for case in cases:
            both = case.fallback is not None
            config = folder / "gateway.toml"
            config.write_text(configuration(folder / "router", ledger, [primary, fallback], both))
            seen, problems = run_case(case, config, key, primary, fallback)
            truncated += sum(map(truncated_as_success, seen))
            passed += not problems
            for problem in problems:
                print(f"{case.name}: {problem}", file=sys.stderr)
    return {
        "faults_passed": Figure(passed, n=len(cases)).at_least(len(cases)),
        "truncated_as_success": Figure(truncated, n=len(cases)).at_most(0),
    }


def run_case(case: Case, config: Path, key: str, primary: Provider, fallback: Provider) -> tuple[list[Seen], list[str]]:
    """One fault as often as it says, then a healthy call of the same gateway."""
    primary.behave[PRIMARY], fallback.behave[FALLBACK] = case.primary, case.fallback or "ok"
    primary.counts.clear()
    endpoint = Endpoint(free_port(), key)

    def ask() -> Seen:
        before = len(primary.requests), len(fallback.requests)
        seen = asked(endpoint, case.stream)
        seen.primary, seen.fallback = len(primary.requests) - before[0], len(fallback.requests) - before[1]
        return seen

    with started([sys.executable, str(SCRIPT), str(config), str(endpoint.port)], endpoint):
        seen = [ask() for _ in range(case.times)]
        problems = [problem for one in seen for problem in problems_of(case, one)]
        primary.behave[PRIMARY] = fallback.behave[FALLBACK] = "ok"
        healthy = ask()
    if not healthy.done or truncated_as_success(healthy):
        problems.append(f"the healthy call that followed got {healthy.status}, {healthy.error or healthy.text[-40:]!r}")
    return [*seen, healthy], problems


def asked(endpoint: Endpoint, stream: bool) -> Seen:
    """One routed request, and what the ledger says of it."""
    body = {"model": "forethought", "messages": [{"role": "user", "content": "hello"}], "max_tokens": TOKENS}
    start = time.monotonic()
    answer = chat(endpoint, body | ({"stream": True} if stream else {}))
    seconds = time.monotonic() - start
    seen = Seen(answer.status, answer.text, answer.done, answer.failed, answer.error, seconds)
    if id := answer.headers.get("x-forethought-decision"):
        attempts = closed_attempts(endpoint, id)
        seen.accounted, seen.charged = len(attempts), sum(attempt["output_tokens"] for attempt in attempts)
    return seen


def closed_attempts(endpoint: Endpoint, id: str) -> list[dict[str, int]]:
    """Attempts of a decision once it is closed; none where it never is."""
    until = time.monotonic() + CLOSED_WITHIN
    while time.monotonic() < until:
        decision = get(endpoint.port, f"/v1/decisions/{id}", endpoint.key)
        if decision is not None and decision["closed_at"] is not None:
            return list(decision["attempts"])
        time.sleep(0.01)
    return []


def configuration(router: Path, ledger: str, providers: Sequence[Provider], both: bool) -> str:
    """A gateway file with the cases' short timeouts; the fallback only where the case has one."""
    lines = [f'router = "{router}"', f'ledger = "{ledger}"', "[conversations]", "keep = 0"]
    for section, settings in (("timeouts", TIMEOUTS), ("retries", RETRIES), ("breaker", BREAKER)):
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in settings.items())]
    for name, provider in zip(NAMES if both else NAMES[:1], providers, strict=False):
        lines += [
            "[[target]]",
            f'name = "{name}"',
            f'model = "{name}"',
            f'base_url = "{provider.url}"',
            "prices = { input = 0.1, output = 0.4 }",
            f"policy = {{ max_tokens = {TOKENS} }}",
        ]
    return "\n".join(lines) + "\n"
