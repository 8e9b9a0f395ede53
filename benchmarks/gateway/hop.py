"""What a request costs on its way through each server: rounds interleaved, so that ratios are of one moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np
import uvloop
from load import closed_loop
from rounds import figure
from servers import Server
from wire import PLAIN, request

from forethought.bench import Figure

OURS, BARE, LITELLM, DIRECT = "hop", "bare", "litellm", "direct"
COSTED, WIDE = (1, 16), 64
"""Connections at which processor time is compared; and those of one more round for the rate."""
RATES = (16, 64)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked.

    Attributes:
        rounds: Of everything.
        requests: Of one server at one number of connections, in one round.
        litellm_requests: The same for LiteLLM, which takes more than ten times as long.
    """

    rounds: int
    requests: int
    litellm_requests: int


@dataclass(frozen=True, slots=True)
class Cost:
    """One round of one server at one number of connections.

    Attributes:
        cpu_ms: Processor time of the server a request.
        rate: Requests a second by the wall clock.
        p50_ms: Median latency.
    """

    cpu_ms: float
    rate: float
    p50_ms: float


Costs = dict[tuple[str, int], list[Cost]]
"""Rounds by server and connections."""


def costs(servers: Mapping[str, Server], effort: Effort) -> Costs:
    """Every server at every number of connections in each round; who comes first changes from round to round."""
    found: Costs = {}
    names = list(servers)
    for r in range(-1, effort.rounds):  # round -1 warms up
        turned = names[r % len(names) :] + names[: r % len(names)]
        for connections in (*COSTED, WIDE):
            for name in turned:
                if name == LITELLM and connections == WIDE:
                    continue
                requests = effort.litellm_requests if name == LITELLM else effort.requests
                cost = measured(servers[name], connections, requests)
                if r >= 0:
                    found.setdefault((name, connections), []).append(cost)
    return found


def measured(server: Server, connections: int, requests: int) -> Cost:
    """One closed loop against one server."""
    message = request(PLAIN, server.endpoint.key)
    before = server.cpu_seconds()
    load = uvloop.run(closed_loop(server.endpoint, message, connections, requests))
    spent = server.cpu_seconds() - before
    return Cost(spent / requests * 1e3, load.rate, median(load.latencies) * 1e3)


def hop_figures(found: Costs) -> dict[str, Figure]:
    """Every figure of the closed loops; the worse number of connections is the one with the goal."""
    ours = by_connections(lambda c: cpu(found, OURS, c))
    over_bare = by_connections(lambda c: cpu(found, OURS, c) / cpu(found, BARE, c))
    figures = {
        "hop_cpu_ms": worst(ours).at_most(1.0),
        **named("hop_cpu_ms", ours),
        "hop_over_bare": worst(over_bare).at_most(3.0),
        **named("hop_over_bare", over_bare),
        **named("bare_cpu_ms", by_connections(lambda c: cpu(found, BARE, c))),
    }
    if (LITELLM, COSTED[0]) in found:
        over_ours = by_connections(lambda c: cpu(found, LITELLM, c) / cpu(found, OURS, c))
        figures["litellm_over_hop"] = least(over_ours).at_least(10)
        figures |= named("litellm_over_hop", over_ours)
        figures |= named("litellm_cpu_ms", by_connections(lambda c: cpu(found, LITELLM, c)))
    return figures | rate_figures(found) | latency_figures(found)


def rate_figures(found: Costs) -> dict[str, Figure]:
    """Requests a second: the best round, since load, mock and server share the cores."""
    return {
        "rps_one_worker": best(found, OURS).at_least(1500),
        "rps_bare": best(found, BARE),
        "rps_direct": best(found, DIRECT),
    }


def latency_figures(found: Costs) -> dict[str, Figure]:
    """Milliseconds added to a request that is alone: a server's median less the mock's, round by round."""
    direct = latency(found, DIRECT)
    names = [name for name in (OURS, BARE, LITELLM) if (name, 1) in found]
    return {f"{name}_added_ms": figure(latency(found, name) - direct) for name in names}


def by_connections(values: Callable[[int], np.ndarray]) -> dict[int, Figure]:
    return {connections: figure(values(connections)) for connections in COSTED}


def named(name: str, figures: Mapping[int, Figure]) -> dict[str, Figure]:
    return {f"{name}_c{connections}": found for connections, found in figures.items()}


def worst(figures: Mapping[int, Figure]) -> Figure:
    return max(figures.values(), key=lambda found: found.value)


def least(figures: Mapping[int, Figure]) -> Figure:
    return min(figures.values(), key=lambda found: found.value)


def best(found: Costs, name: str) -> Figure:
    """The best round at any number of connections; the interval is that of the rounds at that number."""
    rates = {c: np.array([cost.rate for cost in found[name, c]]) for c in RATES}
    fastest = max(rates.values(), key=lambda values: values.max())
    return Figure(float(fastest.max()), float(fastest.min()), float(fastest.max()), len(fastest))


def cpu(found: Costs, name: str, connections: int) -> np.ndarray:
    return np.array([cost.cpu_ms for cost in found[name, connections]])


def latency(found: Costs, name: str) -> np.ndarray:
    return np.array([cost.p50_ms for cost in found[name, 1]])
