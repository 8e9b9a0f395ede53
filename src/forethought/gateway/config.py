"""The gateway's file: a pool of targets, and how it is served.

    router = "runs/demo/router"
    ledger = "postgresql+psycopg://forethought@db/forethought"   # SQLite by default

    [[target]]
    name = "large"
    model = "large-2026"
    base_url = "https://api.example.com/v1"
    api_key_env = "EXAMPLE_KEY"
    prices = { input = 2.0, output = 8.0, cached_input = 0.5 }
    features = ["tools", "json", "images", "logprobs", "n"]
    context = 200000
    dear = true

    [timeouts]
    first_token = 30

Unknown keys are errors. A pool file is a gateway file whose settings are all defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from forethought.targets.pool import Pool, parse_pool

_Positive = Annotated[float, Field(gt=0)]
_Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Timeouts(_Section):
    """How long an upstream may be silent, seconds."""

    connect: _Positive = 5.0
    """Until a connection stands."""
    first_token: _Positive = 60.0
    """From the request to the first token of a stream, or to a whole answer's first byte."""
    stall: _Positive = 30.0
    """Between two pieces of an answer."""
    total: _Positive = 600.0
    """For the whole request, every attempt included."""


class Retries(_Section):
    """How often to try again, and how much of the traffic that may be."""

    attempts: Annotated[int, Field(ge=1)] = 2
    """Most requests to one upstream for one answer."""
    base: _Positive = 0.1
    """Longest wait before the second attempt, seconds; full jitter, doubled each time."""
    cap: _Positive = 5.0
    """Longest wait of all; a `Retry-After` beyond it goes to the next target, or to the client."""
    budget: _Share = 0.2
    """Retries on one upstream as a share of the requests sent to it."""
    hedge_after: _Positive | None = None
    """Seconds of silence after which the next target is asked beside the first; off by default."""


class Breaker(_Section):
    """When an upstream is left alone."""

    failures: Annotated[int, Field(ge=1)] = 5
    """Failures in a row that open the breaker."""
    rest: _Positive = 5.0
    """Seconds until one probe is let through."""


class Limits(_Section):
    """What a client may send."""

    body_bytes: Annotated[int, Field(ge=1024)] = 16 * 2**20
    """Longest request body."""
    body_seconds: _Positive = 30.0
    """Until a body must have come."""
    header_bytes: Annotated[int, Field(ge=1024)] = 64 * 2**10
    """Longest request head."""
    header_seconds: _Positive = 10.0
    """Until a request's head must have come."""
    connections: Annotated[int, Field(ge=1)] = 4096
    """Most connections at once."""
    buffer_bytes: Annotated[int, Field(ge=4096)] = 256 * 2**10
    """Of one stream that a slow reader has not taken; beyond it the upstream is not read."""


class Abstention(_Section):
    """What a client gets where no target is worth asking."""

    response: Literal["answer", "error"] = "answer"
    """A completion that says `text` (`x-forethought-target: none`), or a 422 with code `abstained`."""
    text: str = "I am not likely to get this right, so I do not answer."
    """The completion's text."""


class Cascade(_Section):
    """Ask the next dearer target where an answer looks wrong; off unless a threshold is set."""

    confidence: _Share | None = None
    """Least mean token probability (or a vote's consensus) of an answer that is kept."""
    steps: Annotated[int, Field(ge=1)] = 1
    """Most escalations of one request."""


class Conversations(_Section):
    """How long a conversation keeps its target."""

    keep: Annotated[float, Field(ge=0)] = 3600.0
    """Seconds after its last answer; 0 routes every turn anew."""
    value: Annotated[float, Field(ge=0)] = 0.01
    """USD that one more right answer is worth, where the rule itself does not say."""


class Retention(_Section):
    """What the ledger keeps, and how long."""

    days: Annotated[float, Field(gt=0)] = 90.0
    """Decisions older than this are deleted with all that belongs to them."""
    text: bool = False
    """Whether the routed part of prompts is stored."""


class NamedPolicy(_Section):
    """A rule under a name that clients may ask for as `forethought/<name>`."""

    rule: str
    """Name in the registry of policies."""
    setting: dict[str, float] = Field(default_factory=dict)
    """Its parameters."""


class GatewayConfig(Pool):
    """Everything about a gateway; every field has a default but the targets."""

    router: Path | None = None
    """Artifact of the router; without one, targets are only served by name."""
    ledger: str = "sqlite:///runs/gateway/ledger.sqlite"
    """SQLAlchemy URL of the ledger."""
    policies: dict[str, NamedPolicy] = Field(default_factory=dict)
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    breaker: Breaker = Breaker()
    limits: Limits = Limits()
    abstention: Abstention = Abstention()
    cascade: Cascade = Cascade()
    conversations: Conversations = Conversations()
    retention: Retention = Retention()
    decision_seconds: _Positive = 5.0
    """Longest the router may read; then the safe target answers."""

    @model_validator(mode="after")
    def _check(self) -> GatewayConfig:
        for name in (entry.name for entry in self.target):
            if name == ROUTED or name.startswith(f"{ROUTED}/"):
                raise ValueError(f"target {name!r}: names under {ROUTED!r} are the router's")
        return self


ROUTED = "forethought"
"""The model name that is routed; `forethought/<policy>` by that policy."""


def read_config(path: Path | str, **overrides: Any) -> GatewayConfig:
    """Read a gateway file.

    Args:
        path: TOML.
        overrides: Fields of `GatewayConfig` that win over the file.

    Raises:
        ConfigError: No such file, not TOML, an unknown key, a value out of range, or two targets of one name.
    """
    return parse_pool(path, GatewayConfig, **overrides)
