"""What Prometheus is told. Labels come from the configuration and from fixed sets, never from clients."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from forethought.gateway.base import Account, Attempt, ClientRequest, Plan
from forethought.gateway.disclosure import NAMED
from forethought.gateway.edge.fields import FIELDS
from forethought.gateway.money import NANO
from forethought.gateway.upstreams.base import Failure

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of `Metrics.render`."""

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Variable of the environment that names the folder in which several processes count together. prometheus_client reads
it when it is imported."""

MOST_CHILDREN = 1_000
"""Label sets of one metric; further ones are counted together as `other`."""

BREAKER_STATES: Mapping[str, float] = {"closed": 0.0, "half-open": 0.5, "open": 1.0}
"""What `forethought_breaker_open` shows."""

_HOP = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ANSWER = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_PATHS = frozenset(FIELDS)

_FAILURES = frozenset(get_args(Failure))


class Metrics:
    """All metrics of one gateway, in a registry of their own.

    Where processes share the folder of `FOLDER`, each of them shows the sums over all, and states of its own (breakers,
    the router) under its `pid`.
    """

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._shown = registry
        if FOLDER in os.environ:
            self._shown = CollectorRegistry()
            MultiProcessCollector(self._shown)  # type: ignore[no-untyped-call]
        self._requests = _Labelled(
            _counter("requests", "Requests by how they ended.", ["path", "ending", "status"], registry)
        )
        self._decisions = _Labelled(_counter("decisions", "Chosen targets.", ["target", "rule"], registry))
        self._tokens = _Labelled(_counter("tokens", "Tokens charged.", ["target", "direction"], registry))
        self._cost = _Labelled(_counter("cost_usd", "USD charged by upstreams.", ["target"], registry))
        self._attempts = _Labelled(_counter("attempts", "Requests to upstreams.", ["target", "error"], registry))
        self._fallbacks = _Labelled(_counter("fallbacks", "Requests the safe target got.", ["reason"], registry))
        self._hop = _histogram("hop_seconds", "Time in the gateway itself.", _HOP, registry)
        self._first = _histogram("first_token_seconds", "From the request to the first token.", _ANSWER, registry)
        self._whole = _histogram("request_seconds", "From the request to its end.", _ANSWER, registry)
        self._losses = _counter("ledger_losses", "Writes that the ledger lost.", [], registry)
        self._reloads = _counter("router_reloads", "Router artifacts taken up.", [], registry)
        self.active = Gauge(
            "forethought_active_requests", "Requests under way.", registry=registry, multiprocess_mode="livesum"
        )

    def observe(
        self, request: ClientRequest, plan: Plan, account: Account, status: int, target: str | None, seconds: float
    ) -> None:
        """Count a request that has ended.

        Args:
            request: What was asked.
            plan: What was decided.
            account: Every attempt.
            status: What the client was told.
            target: Who answered; None where nobody did.
            seconds: From the request's arrival to its end.
        """
        self._requests(request.path, account.ending, _class_of(status)).inc()
        rule = NAMED if plan.decision is None else plan.decision.rule
        self._decisions(target or "none", rule).inc()
        upstream = 0.0
        for attempt in account.attempts:
            upstream += attempt.seconds
            self._observe_attempt(attempt)
        self._hop.observe(max(0.0, seconds - upstream))
        self._whole.observe(seconds)

    def _observe_attempt(self, attempt: Attempt) -> None:
        target = attempt.target
        self._attempts(target, kind_of(attempt.error)).inc()
        if attempt.input_tokens:
            self._tokens(target, "in").inc(attempt.input_tokens)
        if attempt.output_tokens:
            self._tokens(target, "out").inc(attempt.output_tokens)
        if attempt.cost:
            self._cost(target).inc(attempt.cost / NANO)
        if attempt.first_seconds is not None:
            self._first.observe(attempt.first_seconds)

    def turned_away(self, path: str, status: int) -> None:
        """Count a request that ended before it was one: without a key, beyond a rate, or malformed."""
        self._requests(path if path in _PATHS else "other", "refused", _class_of(status)).inc()

    def fell_back(self, reason: str) -> None:
        """Count a request that the safe target got; `reason` is one of a few fixed words."""
        self._fallbacks(reason).inc()

    def ledger_lost(self) -> None:
        """Count a write that the ledger lost."""
        self._losses.inc()

    def reloaded(self) -> None:
        """Count a router artifact that was taken up."""
        self._reloads.inc()

    def watch(self, breakers: Callable[[], Mapping[str, str]], artifact: Callable[[], str | None]) -> None:
        """Show states that are asked for whenever metrics are read.

        Args:
            breakers: State by target, each a key of `BREAKER_STATES`.
            artifact: Hash of the router that is served; None without one.
        """
        self._shown.register(_States(breakers, artifact))

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._shown)


class _Labelled:
    """The children of a metric by their labels, at most so many."""

    def __init__(self, metric: Counter) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], Counter] = {}

    def __call__(self, *labels: str) -> Counter:
        child = self._children.get(labels)
        if child is None:
            if len(self._children) >= MOST_CHILDREN:
                labels = ("other",) * len(labels)
            child = self._children[labels] = self._metric.labels(*labels)
        return child


class _States(Collector):
    def __init__(self, breakers: Callable[[], Mapping[str, str]], artifact: Callable[[], str | None]) -> None:
        self._breakers = breakers
        self._artifact = artifact
        self._own = {"pid": str(os.getpid())} if FOLDER in os.environ else {}

    def collect(self) -> Iterable[Metric]:
        breakers = self._family("breaker_open", "0 closed, 0.5 half open, 1 open.", "target")
        for target, state in self._breakers().items():
            breakers.add_metric([target, *self._own.values()], BREAKER_STATES[state])
        yield breakers
        router = self._family("router_info", "The router that is served.", "artifact")
        if (artifact := self._artifact()) is not None:
            router.add_metric([artifact, *self._own.values()], 1.0)
        yield router

    def _family(self, name: str, text: str, label: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"forethought_{name}", text, labels=[label, *self._own])


def kind_of(error: str) -> str:
    """An attempt's error as a label: empty, how it failed, or `other`."""
    if not error:
        return ""
    first = error.partition(":")[0].partition(" ")[0]
    return first if first in _FAILURES else "other"


def _class_of(status: int) -> str:
    return f"{status // 100}xx"


def _counter(name: str, text: str, labels: list[str], registry: CollectorRegistry) -> Counter:
    return Counter(f"forethought_{name}", text, labels, registry=registry)


def _histogram(name: str, text: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(f"forethought_{name}", text, buckets=buckets, registry=registry)
