from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families

from forethought.core import Decision
from forethought.gateway.base import LOCAL, Account, Attempt, ClientRequest, Plan
from forethought.gateway.edge.metrics import MOST_CHILDREN, Metrics, kind_of
from forethought.gateway.upstreams.base import Failure

REQUEST = ClientRequest("dec-1", "/chat/completions", b"{}", {"model": "forethought"}, LOCAL)
PLAN = Plan(("large", "small"), Decision("large", (), "utility", {}, "because"))
ACCOUNT = Account(
    [
        Attempt("large", 500, seconds=0.2, error="status"),
        Attempt("small", 200, 100, 20, 30, cost=2_500_000_000, seconds=0.5, first_seconds=0.1),
    ],
    "ok",
)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and label values, in the order of the labels' names."""
    return parsed(metrics.render().decode())


def parsed(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(text)
    return {
        (s.name, tuple(v for _, v in sorted(s.labels.items()))): s.value for family in families for s in family.samples
    }


def test_a_request_is_counted_with_all_that_it_cost() -> None:
    metrics = Metrics()
    metrics.observe(REQUEST, PLAN, ACCOUNT, 200, "small", 0.703)
    found = samples(metrics)
    assert found["forethought_requests_total", ("ok", "/chat/completions", "2xx")] == 1
    assert found["forethought_decisions_total", ("utility", "small")] == 1
    assert found["forethought_tokens_total", ("in", "small")] == 100
    assert found["forethought_tokens_total", ("out", "small")] == 30
    assert found["forethought_cost_usd_total", ("small",)] == 2.5
    assert found["forethought_attempts_total", ("status", "large")] == 1
    assert found["forethought_attempts_total", ("", "small")] == 1
    assert found["forethought_hop_seconds_bucket", ("0.005",)] == 1
    assert found["forethought_hop_seconds_bucket", ("0.0025",)] == 0
    assert found["forethought_first_token_seconds_count", ()] == 1
    assert found["forethought_request_seconds_count", ()] == 1


def test_losses_reloads_fallbacks_and_refusals_are_counted() -> None:
    metrics = Metrics()
    metrics.ledger_lost()
    metrics.reloaded()
    metrics.fell_back("timeout")
    metrics.turned_away("/chat/completions", 401)
    metrics.turned_away("/made/up", 404)
    metrics.active.inc()
    found = samples(metrics)
    assert found["forethought_ledger_losses_total", ()] == 1
    assert found["forethought_router_reloads_total", ()] == 1
    assert found["forethought_fallbacks_total", ("timeout",)] == 1
    assert found["forethought_requests_total", ("refused", "/chat/completions", "4xx")] == 1
    assert found["forethought_requests_total", ("refused", "other", "4xx")] == 1
    assert found["forethought_active_requests", ()] == 1


def test_states_are_those_of_the_moment() -> None:
    metrics, breakers = Metrics(), {"https://a": "closed"}
    metrics.watch(lambda: breakers, lambda: "abc")
    assert samples(metrics)["forethought_breaker_open", ("https://a",)] == 0
    breakers["https://a"] = "open"
    found = samples(metrics)
    assert found["forethought_breaker_open", ("https://a",)] == 1
    assert found["forethought_router_info", ("abc",)] == 1


def test_label_sets_are_bounded() -> None:
    metrics = Metrics()
    for number in range(MOST_CHILDREN + 500):
        metrics.fell_back(f"reason {number}")
    assert sum(name == "forethought_fallbacks_total" for name, _ in samples(metrics)) == MOST_CHILDREN + 1


def test_errors_become_one_of_a_few_words() -> None:
    assert kind_of("") == ""
    assert [kind_of(kind) for kind in get_args(Failure)] == list(get_args(Failure))
    assert kind_of("stall: nothing for 30 s") == "stall"
    assert kind_of("a secret text") == "other"


COUNTED = """
import os, sys
from forethought.gateway.edge.metrics import Metrics

metrics = Metrics()
metrics.watch(lambda: {"https://a": "open"}, lambda: "abc")
for asked in sys.stdin:
    if asked == "show\\n":
        print(metrics.render().decode() + "# EOF", flush=True)
        continue
    metrics.fell_back("timeout")
    metrics._hop.observe(0.002)
    metrics.active.inc()
    print(os.getpid(), "# EOF", flush=True)
"""


class Process:
    """A process that counts once for each line that it is sent."""

    def __init__(self, folder) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", COUNTED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        )

    def ask(self, word: str) -> str:
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        lines = iter(self._process.stdout.readline, "")
        said = []
        for line in lines:
            said.append(line.removesuffix("# EOF\n"))
            if line.endswith("# EOF\n"):
                break
        return "".join(said)

    def samples(self) -> dict[tuple[str, tuple[str, ...]], float]:
        return parsed(self.ask("show"))

    def close(self) -> None:
        self._process.communicate()


def test_processes_that_share_a_folder_show_one_sum_and_each_its_own_states(tmp_path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    try:
        pids = [first.ask("count").strip(), second.ask("count").strip(), second.ask("count").strip()]
        for asked, pid in ((first, pids[0]), (second, pids[1])):
            found = asked.samples()
            assert found["forethought_fallbacks_total", ("timeout",)] == 3
            assert found["forethought_hop_seconds_count", ()] == 3
            assert found["forethought_hop_seconds_bucket", ("0.0025",)] == 3
            assert found["forethought_active_requests", ()] == 3
            assert found["forethought_ledger_losses_total", ()] == 0
            assert found["forethought_breaker_open", (pid, "https://a")] == 1
            assert found["forethought_router_info", ("abc", pid)] == 1
    finally:
        first.close()
        second.close()


def test_counting_a_request_costs_microseconds() -> None:
    metrics, best = Metrics(), 1.0
    for _ in range(20):
        started = time.thread_time()
        for _ in range(200):
            metrics.observe(REQUEST, PLAN, ACCOUNT, 200, "small", 0.7)
        best = min(best, (time.thread_time() - started) / 200)
    print(f"observe: {best * 1e6:.1f} us with two attempts")
    assert best < 40e-6  # 10 us on a quiet core
