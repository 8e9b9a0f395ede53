"""Rules by the names that clients give, and the order in which targets are asked under a rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from forethought.allocation import policies, policy_from
from forethought.allocation.abstention_floor import AbstentionFloor
from forethought.allocation.mean_cost_cap import MeanCostCap
from forethought.allocation.utility import Utility
from forethought.allocation.value import Value
from forethought.core import Decision, Prediction
from forethought.errors import ConfigError
from forethought.gateway.config import ROUTED, NamedPolicy
from forethought.gateway.problems import Problem

if TYPE_CHECKING:
    from forethought.allocation import Policy

_REMEMBERED = 256
"""Rules kept ready; clients make up settings at will."""

_PLACE = "single"
"""Names a column of the artifact, which no client can know; a client that wants one target names it."""


class PolicyNames:
    """The rules that a client may ask for.

    Args:
        named: Rules of the configuration.

    Raises:
        ConfigError: One of them cannot be made.
    """

    def __init__(self, named: Mapping[str, NamedPolicy]) -> None:
        self._named = {name: policy_from(entry.rule, entry.setting) for name, entry in named.items()}
        # Asking the registry scans every installed distribution, which a client must not be able to make us do.
        self._rules = frozenset(policies.names) - {_PLACE}
        self._made: Callable[[str], Policy] = lru_cache(_REMEMBERED)(self._make)

    def __getitem__(self, asked: str) -> Policy:
        """The rule that is asked for.

        Args:
            asked: A name of the configuration, a rule without parameters, or `rule:value` where it has one.

        Raises:
            Problem: 404 for an unknown name, 400 for a value that the rule does not take.
        """
        return self._named.get(asked) or self._made(asked)

    @cached_property
    def allowed(self) -> list[str]:
        """What can be asked for, the configuration's names first."""
        rules = ((name, _parameters(name)) for name in sorted(self._rules))
        built = [f"{name}:<{takes[0]}>" if takes else name for name, takes in rules if len(takes) <= 1]
        return [*self._named, *(name for name in built if name not in self._named)]

    def _make(self, asked: str) -> Policy:
        rule, colon, value = asked.partition(":")
        takes = _parameters(rule) if rule in self._rules else None
        if takes is None or len(takes) != (1 if colon else 0):
            raise self._unknown(asked)
        try:
            return policy_from(rule, {takes[0]: float(value)} if colon else {})
        except (ConfigError, ValueError) as error:
            raise Problem(400, f"model {ROUTED}/{asked}: {error}", code="invalid_policy", param="model") from None

    def _unknown(self, asked: str) -> Problem:
        there = ", ".join(f"{ROUTED}/{name}" for name in self.allowed)
        said = f"no policy {asked!r}; there are {ROUTED}, {there}, e.g. {ROUTED}/tolerance:0.05"
        return Problem(404, said, code="model_not_found", param="model")


def order(policy: Policy, decision: Decision, allowed: Collection[str]) -> tuple[str, ...]:
    """The chosen target, then the others by falling worth under the rule.

    A rule that puts no number on a target falls back by P(success), then by cost.

    Args:
        policy: That decided.
        decision: With a target.
        allowed: Targets that may be asked.
    """
    worth = _worth(policy)
    others = [p for p in decision.predictions if p.target in allowed and p.target != decision.target]
    others.sort(key=lambda p: (-worth(p), p.cost_usd or 0.0))
    assert decision.target is not None
    return (decision.target, *(p.target for p in others))


def value_of_success(policy: Policy, otherwise: float) -> float:
    """USD that one more right answer is worth under a rule.

    Args:
        policy: That decided.
        otherwise: Where the rule does not say.
    """
    match policy:
        case AbstentionFloor():
            return value_of_success(policy.policy, otherwise)
        case Value():
            return policy.usd_per_success
        case _:
            return otherwise


def _worth(policy: Policy) -> Callable[[Prediction], float]:
    match policy:
        case AbstentionFloor():
            return _worth(policy.policy)
        case Value():
            return lambda p: policy.usd_per_success * p.success - (p.cost_usd or 0.0)
        case Utility():
            return lambda p: p.success - policy.lam * (p.cost_usd or 0.0) / (policy.high - policy.low)
        case MeanCostCap():
            return lambda p: p.success - policy.price * (p.cost_usd or 0.0)
        case _:
            return lambda p: p.success


def _parameters(rule: str) -> list[str]:
    return list(inspect.signature(policies[rule]).parameters)
