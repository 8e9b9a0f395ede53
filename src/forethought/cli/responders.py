"""From a pool file to targets that can be called."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from forethought.core import Question, Target
from forethought.errors import ConfigError

if TYPE_CHECKING:
    from forethought.models import LanguageModel
    from forethought.targets import Responder
    from forethought.targets.pool import Pool, PoolEntry

Examples = Mapping[str, Sequence[Question]]


class Responders:
    """Makes the responder of a target on demand; targets of one model share its weights."""

    def __init__(self, pool: Pool, examples: Examples, *, seed: int = 0) -> None:
        self._pool = pool
        self._examples = examples
        self._seed = seed
        self._models: dict[str, LanguageModel] = {}

    def get(self, name: str) -> Responder:
        """The responder of one target, votes included.

        Raises:
            ConfigError: Unknown target, weights not installed, or a missing API key.
        """
        from forethought.outcomes import grader
        from forethought.voting.majority_vote import MajorityVote
        from forethought.voting.responder import VotingResponder

        single, votes = self.single(name), self._pool.entry(name).policy.votes
        if votes == 1:
            return single

        def read(question: Question, text: str) -> str | None:
            return grader(question.grader).extract(question, text)

        return VotingResponder(single, MajorityVote(votes), read, wave=votes, target=self._pool.entry(name).target)

    def single(self, name: str, *, named: str | None = None) -> Responder:
        """The responder of one target's single answers, whatever its votes.

        Args:
            name: Name in the pool.
            named: Name to record the answers under.
        """
        entry = self._pool.entry(name)
        target = replace(entry.target, name=named or name, policy=replace(entry.policy, votes=1))
        return self._endpoint(entry, target) if entry.base_url else self._local(entry, target)

    def installed(self, names: Sequence[str]) -> list[str]:
        """Those of the names that can be called here: endpoints, and models whose weights are present."""
        from forethought.models import list_models

        absent = {state.name for state in list_models() if not state.installed}
        entries = [self._pool.entry(name) for name in names]
        return [entry.name for entry in entries if entry.base_url or entry.model not in absent]

    def can_ask(self, name: str, question: Question) -> bool:
        """Whether a target can be asked a question: few-shot targets need solved examples of its group."""
        policy = self._pool.entry(name).policy
        return policy.prompt != "few_shot" or len(self._examples.get(question.group, ())) >= policy.shots

    def _endpoint(self, entry: PoolEntry, target: Target) -> Responder:
        from forethought.targets import EndpointResponder

        key = None
        if entry.api_key_env is not None and not (key := os.environ.get(entry.api_key_env)):
            raise ConfigError(f"target {entry.name!r} reads its key from ${entry.api_key_env}, which is not set")
        assert entry.base_url is not None
        return EndpointResponder(target, base_url=entry.base_url, api_key=key)

    def _local(self, entry: PoolEntry, target: Target) -> Responder:
        from forethought.early_exit import local_responder
        from forethought.models import load

        if entry.model not in self._models:
            self._models[entry.model] = load(entry.model)
        return local_responder(self._models[entry.model], entry, target, self._examples, seed=self._seed)
