"""Stopping rules by name: the project's own and those of the entry point group `forethought.stopping_rules`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from forethought.errors import ConfigError
from forethought.registry import Registry
from forethought.voting.base import StoppingRule

_HERE = "forethought.voting"

rules: Registry[Callable[..., StoppingRule]] = Registry(
    "stopping rule",
    "forethought.stopping_rules",
    {
        "adaptive_consistency": f"{_HERE}.adaptive_consistency:AdaptiveConsistency",
        "adaptive_sequential": f"{_HERE}.adaptive_sequential_vote:AdaptiveSequentialVote",
        "ahead_by": f"{_HERE}.ahead_by:AheadBy",
        "bayes": f"{_HERE}.bayes_vote:BayesVote",
        "confidence_weighted": f"{_HERE}.confidence_weighted_vote:ConfidenceWeightedVote",
        "early_stopping": f"{_HERE}.early_stopping:EarlyStopping",
        "first_to": f"{_HERE}.first_to:first_to",
        "majority": f"{_HERE}.majority_vote:MajorityVote",
        "sequential": f"{_HERE}.sequential_vote:SequentialVote",
        "sprt": f"{_HERE}.sprt:SequentialProbabilityRatio",
    },
)


def rule_from(name: str, setting: Mapping[str, float | str]) -> StoppingRule:
    """Make a stopping rule from its name and setting; a whole number may come as a float, as from JSON.

    Raises:
        ConfigError: Unknown name, or a setting that is unknown, missing, of the wrong kind or out of range.
    """
    make = rules[name]
    signature = inspect.signature(make)
    try:
        signature.bind(**setting)
    except TypeError as error:
        raise ConfigError(
            f"stopping rule {name!r}: {error}; settings are {', '.join(signature.parameters) or 'none'}"
        ) from None
    parameters = signature.parameters
    given = {
        key: _converted(f"stopping rule {name!r}: {key}", value, parameters[key].annotation)
        if key in parameters
        else value
        for key, value in setting.items()
    }
    try:
        return make(**given)
    except ConfigError as error:
        raise ConfigError(f"stopping rule {name!r}: {error}") from None


def _converted(what: str, value: float | str, annotation: object) -> float | str:
    """The value as its parameter declares it; kinds other than numbers are for the rule to judge."""
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if kind not in ("int", "float"):
        return value
    if isinstance(value, str | bool) or not isinstance(value, int | float):
        raise ConfigError(f"{what} must be a number, got {value!r}")
    if kind == "float":
        return float(value)
    if not float(value).is_integer():
        raise ConfigError(f"{what} must be a whole number, got {value}")
    return int(value)
