"""From a configuration to the upstreams of its targets."""

from __future__ import annotations

import os
from functools import cache

from forethought.core import Question
from forethought.errors import ConfigError
from forethought.gateway.config import GatewayConfig
from forethought.gateway.upstreams.base import Upstream
from forethought.gateway.upstreams.http import HttpUpstream
from forethought.gateway.upstreams.local import LocalUpstream
from forethought.gateway.upstreams.local_engine import LocalEngine
from forethought.targets.pool import PoolEntry


def upstreams_of(config: GatewayConfig) -> dict[str, Upstream]:
    """The upstream of every target; those of one base URL and key share their connections.

    Raises:
        ConfigError: A URL that is not plain http(s), an empty variable of a key, or a local model that there is not.
    """
    endpoints: dict[tuple[str, str | None], HttpUpstream] = {}
    engine = LocalEngine()
    found: dict[str, Upstream] = {}
    for entry in config.target:
        if entry.base_url is None:
            found[entry.name] = LocalUpstream(entry, engine, solved_examples() if _is_shown(entry) else {})
            continue
        where = entry.base_url.rstrip("/"), _api_key(entry)
        if where not in endpoints:
            endpoints[where] = HttpUpstream(where[0], api_key=where[1], timeouts=config.timeouts)
        found[entry.name] = endpoints[where]
    return found


@cache
def solved_examples() -> dict[str, list[Question]]:
    """The committed solved questions by group, which few-shot targets are shown."""
    from forethought.data import default_examples
    from forethought.outcomes import by_group
    from forethought.questions import read_questions

    return by_group(read_questions(default_examples()))


def bytes_shown(config: GatewayConfig) -> dict[str, int]:
    """Most bytes of solved examples that each few-shot target is shown, by target."""
    return {entry.name: _most_shown(entry.policy.shots) for entry in config.target if _is_shown(entry)}


def _most_shown(shots: int) -> int:
    groups = solved_examples().values()
    written = ("".join(f"Q: {q.text}\nA: {q.answers[0]}\n\n" for q in solved[:shots]) for solved in groups)
    return max((len(text.encode()) for text in written), default=0)


def _is_shown(entry: PoolEntry) -> bool:
    return entry.base_url is None and entry.policy.prompt == "few_shot"


def _api_key(entry: PoolEntry) -> str | None:
    if entry.api_key_env is None:
        return None
    key = os.environ.get(entry.api_key_env)
    if not key:
        raise ConfigError(f"target {entry.name!r} reads its key from ${entry.api_key_env}, which is not set")
    return key
