"""Graders by name: those of this package, then those that plugins announce as `forethought.graders`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from forethought.errors import ConfigError
from forethought.outcomes.graders.base import Grader
from forethought.registry import Registry

_HERE = "forethought.outcomes.graders"

graders: Registry[Callable[[], Grader]] = Registry(
    "grader",
    "forethought.graders",
    {
        "choice": f"{_HERE}.choice:ChoiceGrader",
        "code": f"{_HERE}.code:CodeGrader",
        "math": f"{_HERE}.math:MathGrader",
        "number": f"{_HERE}.number:NumberGrader",
        "text": f"{_HERE}.text:TextGrader",
    },
)


@cache
def grader(name: str) -> Grader:
    """The grader of that name; one instance a process.

    Raises:
        ConfigError: No such grader, or `judge`, which needs a model to ask.
    """
    if name == "judge":
        raise ConfigError("the judge grader needs a model: make JudgeGrader(ask) and pass it on by its name")
    return graders[name]()
