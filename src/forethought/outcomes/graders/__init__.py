"""Graders: how an answer is compared with its reference, each telling `unparsable` apart from `wrong`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ChoiceGrader": "choice",
        "CodeGrader": "code",
        "CodeLimits": "code",
        "Grade": "base",
        "Grader": "base",
        "JudgeGrader": "judge",
        "MathGrader": "math",
        "NumberGrader": "number",
        "TextGrader": "text",
        "Verdict": "base",
        "grader": "registry",
    },
)

if TYPE_CHECKING:
    from forethought.outcomes.graders.base import Grade as Grade
    from forethought.outcomes.graders.base import Grader as Grader
    from forethought.outcomes.graders.base import Verdict as Verdict
    from forethought.outcomes.graders.choice import ChoiceGrader as ChoiceGrader
    from forethought.outcomes.graders.code import CodeGrader as CodeGrader
    from forethought.outcomes.graders.code import CodeLimits as CodeLimits
    from forethought.outcomes.graders.judge import JudgeGrader as JudgeGrader
    from forethought.outcomes.graders.math import MathGrader as MathGrader
    from forethought.outcomes.graders.number import NumberGrader as NumberGrader
    from forethought.outcomes.graders.registry import grader as grader
    from forethought.outcomes.graders.text import TextGrader as TextGrader
