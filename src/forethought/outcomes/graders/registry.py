"""Graders by name: those of this package, then those that plugins announce as `forethought.graders`."""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points
from typing import cast

from forethought.errors import ConfigError
from forethought.outcomes.graders.base import Grader

GROUP = "forethought.graders"
BUILT_IN = {
    "choice": "forethought.outcomes.graders.choice:ChoiceGrader",
    "code": "forethought.outcomes.graders.code:CodeGrader",
    "math": "forethought.outcomes.graders.math:MathGrader",
    "number": "forethought.outcomes.graders.number:NumberGrader",
    "text": "forethought.outcomes.graders.text:TextGrader",
}


@cache
def grader(name: str) -> Grader:
    """The grader of that name; one instance a process.

    Raises:
        ConfigError: No such grader, or `judge`, which needs a model to ask.
    """
    if name in BUILT_IN:
        module, _, member = BUILT_IN[name].partition(":")
        return cast(Grader, getattr(importlib.import_module(module), member)())
    plugins = {point.name: point for point in entry_points(group=GROUP)}
    if name in plugins:
        return cast(Grader, plugins[name].load()())
    if name == "judge":
        raise ConfigError("the judge grader needs a model: make JudgeGrader(ask) and pass it on by its name")
    raise ConfigError(f"no grader {name!r}; there are {', '.join(sorted({*BUILT_IN, *plugins, 'judge'}))}")
