"""Executing plans: bodies for targets, votes, escalation, abstention, and what all that may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CompletionWriter": "completion",
        "Executor": "executor",
        "Reserve": "reserve",
        "VoteFailed": "ballots",
        "Voter": "voting",
        "upstreams_of": "building",
    },
)

if TYPE_CHECKING:
    from forethought.gateway.execution.ballots import VoteFailed as VoteFailed
    from forethought.gateway.execution.building import upstreams_of as upstreams_of
    from forethought.gateway.execution.completion import CompletionWriter as CompletionWriter
    from forethought.gateway.execution.executor import Executor as Executor
    from forethought.gateway.execution.reserve import Reserve as Reserve
    from forethought.gateway.execution.voting import Voter as Voter
