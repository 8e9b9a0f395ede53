"""Streams: what a chunk costs, and whether a thousand at once arrive whole, in order and soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import uvloop
from load import Endpoint, Streamed, streams
from rounds import figure
from servers import Server
from wire import Pace

from forethought.bench import Figure


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked.

    Attributes:
        rounds: Of a chunk's cost.
        many: Streams at once in these rounds.
        paced: Their pace.
        crowds: Rounds of the concurrent streams, direct and through the gateway in turn.
        crowd: Concurrent streams.
        slow: Their pace.
        over: Seconds over which they are opened.
        at_once: Pace of the streams that are all opened in one moment.
    """

    rounds: int
    many: int
    paced: Pace
    crowds: int
    crowd: int
    slow: Pace
    over: float
    at_once: Pace

    @property
    def models(self) -> list[str]:
        """The names of the models asked for."""
        return sorted({pace.model for pace in (self.paced, self.slow, self.at_once)})


def chunk_figures(gateway: Server, bare: Server, effort: Effort) -> dict[str, Figure]:
    """Processor time of a server over the tokens it passed on, with all that its requests cost besides."""
    costs = np.array([[chunk_us(server, effort) for server in (gateway, bare)] for _ in range(effort.rounds)])
    return {
        "chunk_cpu_us": figure(costs[:, 0]).at_most(100),
        "bare_chunk_cpu_us": figure(costs[:, 1]),
    }


def chunk_us(server: Server, effort: Effort) -> float:
    """One round of one server; streams are opened over one pause, so that their tokens never come together."""
    before = server.cpu_seconds()
    uvloop.run(streams(server.endpoint, effort.paced, effort.many, over=effort.paced.seconds))
    return (server.cpu_seconds() - before) / (effort.many * effort.paced.tokens) * 1e6


def crowd_figures(gateway: Server, mock: Server, effort: Effort) -> dict[str, Figure]:
    """Concurrent streams, direct and through the gateway in turn."""
    pairs = [_crowd(gateway.endpoint, mock.endpoint, effort, effort.slow, effort.over) for _ in range(effort.crowds)]
    at_once = [_crowd(gateway.endpoint, mock.endpoint, effort, effort.at_once, 0.0) for _ in range(effort.crowds)]
    whole = [sum(stream.whole for stream in through) for through, _ in pairs]
    return {
        "streams_whole": Figure(min(whole), min(whole), max(whole), len(whole)).at_least(effort.crowd),
        "ttft_added_p99_ms": figure([added_p99(*pair) for pair in pairs]).at_most(250),
        "ttft_added_at_once_p99_ms": figure([added_p99(*pair) for pair in at_once]),
        "rss_mb": Figure(gateway.peak_mb()).at_most(250),
    }


Crowd = tuple[Sequence[Streamed], Sequence[Streamed]]
"""Streams through the gateway, and direct."""


def _crowd(gateway: Endpoint, mock: Endpoint, effort: Effort, pace: Pace, over: float) -> Crowd:
    direct = uvloop.run(streams(mock, pace, effort.crowd, over))
    return uvloop.run(streams(gateway, pace, effort.crowd, over)), direct


def added_p99(through: Sequence[Streamed], direct: Sequence[Streamed]) -> float:
    """99th percentile of the first tokens' delays, each less that of the stream in the same place direct; ms."""
    added = sorted(a.first - b.first for a, b in zip(through, direct, strict=True))
    return added[ceil(0.99 * len(added)) - 1] * 1e3
