"""Policies by name: the project's own and those of the entry point group `forethought.policies`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from forethought.allocation.abstention_floor import SUFFIX, AbstentionFloor
from forethought.allocation.base import Policy
from forethought.errors import ConfigError
from forethought.registry import Registry

_HERE = "forethought.allocation"

policies: Registry[Callable[..., Policy]] = Registry(
    "policy",
    "forethought.policies",
    {
        "argmax": f"{_HERE}.argmax:Argmax",
        "cascade": f"{_HERE}.cascade:Cascade",
        "mean_cost_cap": f"{_HERE}.mean_cost_cap:MeanCostCap",
        "single": f"{_HERE}.single:Single",
        "tolerance": f"{_HERE}.tolerance:Tolerance",
        "utility": f"{_HERE}.utility:Utility",
        "value": f"{_HERE}.value:Value",
    },
)


def policy_from(name: str, setting: Mapping[str, float]) -> Policy:
    """Make a policy from its name and setting; `NAME+floor` wraps it in an abstention floor.

    Raises:
        ConfigError: Unknown name, or a setting that is unknown, missing or out of range.
    """
    if name.endswith(SUFFIX):
        if "floor" not in setting:
            raise ConfigError(f"policy {name!r} needs a setting 'floor', got {sorted(setting)}")
        rest = {key: value for key, value in setting.items() if key != "floor"}
        return AbstentionFloor(policy_from(name.removesuffix(SUFFIX), rest), setting["floor"])
    make = policies[name]
    signature = inspect.signature(make)
    try:
        signature.bind(**setting)
    except TypeError as error:
        raise ConfigError(
            f"policy {name!r}: {error}; settings are {', '.join(signature.parameters) or 'none'}"
        ) from None
    return make(**setting)
