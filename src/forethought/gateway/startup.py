"""What is said once a gateway is ready to answer, and what it does not start with."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlsplit

from forethought.errors import ConfigError
from forethought.gateway.config import ROUTED, GatewayConfig
from forethought.gateway.ledger.database import Database
from forethought.gateway.routing.capabilities import absent_models, unroutable
from forethought.gateway.routing.policies import PolicyNames
from forethought.targets.pool import Feature, PoolEntry

if TYPE_CHECKING:
    from forethought.gateway.services import Services
    from forethought.router import Router


class NoAdminKey(ConfigError):  # noqa: N818 - what is missing
    """A gateway that other machines can reach has no admin key."""

    def __init__(self) -> None:
        super().__init__("no admin key exists, and a gateway that other machines can reach needs one")


def require_known_targets(config: GatewayConfig, router: Router) -> None:
    """Refuse a router that could choose nobody.

    Raises:
        ConfigError: None of its targets is in the file.
    """
    fitted, there = router.heads.names, [entry.name for entry in config.target]
    if not set(fitted) & set(there):
        raise ConfigError(
            f"the router knows none of the file's targets: it was fitted on {', '.join(fitted)}, "
            f"the file has {', '.join(there)}"
        )


async def report(services: Services, address: tuple[Any, ...]) -> list[str]:
    """What a gateway that is ready says of itself, line by line; no secret is among it.

    Args:
        services: That were started.
        address: That is listened on, as of `socket.getsockname`.

    Raises:
        LedgerLost: The keys cannot be counted.
    """
    host, port = address[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    router = None if services.host is None else services.host.current
    return [
        f"forethought serves {url}/v1 (models: {url}/v1/models, OpenAPI: {url}/openapi.json)",
        *described(services.config, router),
        _line("keys", _keys(await services.ledger.keys())),
        *(_line("warning", warning) for warning in _warnings(services.config)),
    ]


def described(config: GatewayConfig, router: Router | None = None) -> list[str]:
    """The targets, the router, the policies and the ledger, line by line.

    Args:
        config: The gateway's file.
        router: That is loaded; None without one.
    """
    absent = absent_models()
    return [
        *(_line("target", ", ".join(_target(entry, router, absent))) for entry in config.target),
        *_routing(config, router),
        _line("ledger", str(Database(config.ledger)).removeprefix("the ledger ")),
    ]


def _line(what: str, said: str) -> str:
    return f"  {what:<8}  {said}"


def _target(entry: PoolEntry, router: Router | None, absent: Collection[str]) -> Iterator[str]:
    local = entry.base_url is None
    yield f"{entry.name}: {entry.model} {'on this machine' if local else f'at {_host(entry)}'}"
    yield "no prices: budgets do not count it" if entry.prices is None else "priced"
    if rule := _vote(entry):
        yield f"votes ({rule}) when routed"
    elif not local:
        yield (
            " ".join(["features", *sorted(entry.features, key=get_args(Feature).index)])
            if entry.features
            else "no features"
        )
    if entry.dear:
        yield "dear"
    if local and entry.model in absent:
        yield f"not installed: {_fetch(entry.model)}"
    elif router is not None and (entry.name not in router.heads.names or unroutable(entry, absent)):
        yield "asked by name only"


def _host(entry: PoolEntry) -> str:
    return urlsplit(entry.base_url or "").netloc.rpartition("@")[2]


def _vote(entry: PoolEntry) -> str | None:
    if entry.vote is not None:
        return entry.vote.rule
    return f"majority of {entry.policy.votes}" if entry.policy.votes > 1 else None


def _fetch(model: str) -> str:
    from forethought.models import CATALOG

    terms = CATALOG[model].terms
    return f"forethought models fetch {model}" + (f" --accept {terms}" if terms else "")


def _routing(config: GatewayConfig, router: Router | None) -> Iterator[str]:
    if router is None:
        yield _line("router", "none: every target is asked for by its name")
        return
    there = {entry.name for entry in config.target}
    lacking = ", ".join(name for name in router.heads.names if name not in there)
    unknown = f"; the file lacks its targets {lacking}" if lacking else ""
    yield _line("router", f"{config.router} ({router.artifact[:12]}){unknown}")
    policies = ", ".join(f"{ROUTED}/{name}" for name in PolicyNames(config.policies).allowed)
    yield _line("policies", f"{policies}, e.g. {ROUTED}/tolerance:0.05")


def _keys(keys: Collection[dict[str, Any]]) -> str:
    scopes = [key["scope"] for key in keys if key["revoked_at"] is None]
    if not keys:
        return "none: loopback only, no key asked for"
    if not scopes:
        return "none that lives: nobody is let in"
    return f"{len(scopes)} live, {scopes.count('admin') or 'none'} of them admin"


def _warnings(config: GatewayConfig) -> Iterator[str]:
    sure = any(_vote(entry) or (entry.base_url and "logprobs" in entry.features) for entry in config.target)
    if config.cascade.confidence is not None and not sure:
        yield (
            "cascade.confidence is set, but no target has the feature logprobs or votes: "
            "only empty and cut answers are asked for again"
        )
