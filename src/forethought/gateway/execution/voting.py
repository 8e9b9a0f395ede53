"""Targets that answer by a vote: several answers drawn until a stopping rule is content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from forethought.gateway.base import Account, ClientRequest
from forethought.gateway.config import GatewayConfig
from forethought.gateway.disclosure import printable
from forethought.gateway.execution.ballots import manner_of
from forethought.gateway.execution.endpoint_vote import EndpointVoter
from forethought.gateway.execution.local_vote import LocalVoter
from forethought.gateway.execution.request_body import CHAT, TEXT, last_text
from forethought.gateway.upstreams.base import Upstream
from forethought.gateway.upstreams.failover import Failover
from forethought.gateway.upstreams.local import LocalUpstream
from forethought.voting.voted import VotedAnswer

_ONE_ANSWER_EACH = ("tools", "functions", "logprobs")
"""What an answer may hold that no vote can be taken on."""


class Voter(Protocol):
    """Answers for one target by a vote."""

    @property
    def cap(self) -> int:
        """Most answers drawn."""

    async def vote(self, request: ClientRequest, account: Account, bound: int = 0) -> VotedAnswer:
        """Vote on one request; every answer asked for is entered in the account, also where the caller is cancelled.

        Args:
            request: What is asked.
            account: Where it is entered.
            bound: Most that one answer may cost, nanodollars; 0 where no budget depends on it.

        Raises:
            VoteFailed: No answer could be had.
        """


def can_vote(request: ClientRequest) -> bool:
    """Whether a request wants one plain text, on which answers can be compared."""
    body = request.body
    single = body.get("n") in (None, 1) and body.get("best_of") in (None, 1)
    return (
        request.path in (CHAT, TEXT)
        and single
        and not any(body.get(field) for field in _ONE_ANSWER_EACH)
        and last_text(request) is not None
    )


def voters_of(config: GatewayConfig, upstreams: Mapping[str, Upstream], failover: Failover) -> dict[str, Voter]:
    """The voters of those targets that vote.

    Raises:
        ConfigError: An unknown rule, setting or grader, or one that the target cannot follow.
    """
    voters: dict[str, Voter] = {}
    for entry in config.target:
        if entry.vote is None and entry.policy.votes == 1:
            continue
        upstream, prices = upstreams[entry.name], config.prices.get(entry.name)
        manner = manner_of(entry)
        if isinstance(upstream, LocalUpstream):
            voters[entry.name] = LocalVoter(entry, manner, upstream, prices)
        else:
            voters[entry.name] = EndpointVoter(entry, manner, upstream, prices, failover)
    return voters


def vote_headers(voted: VotedAnswer) -> dict[str, str]:
    """What a client is told of a vote; the answers themselves are not repeated in headers."""
    reason = voted.verdict.reason.replace(repr(voted.answer), "the answer")
    return {
        "x-forethought-votes": str(voted.spent.samples),
        "x-forethought-consensus": "true" if voted.verdict.consensus else "false",
        "x-forethought-confidence": f"{voted.verdict.confidence:.4f}",
        "x-forethought-stopped": printable(reason)[:120],
    }
