"""The confidence a model states in words: the baseline that has to generate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from forethought.probes.base import FloatArray

UNPARSABLE = 0.5

_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_LEAD = r"(?:confidence|probability|chance|likelihood)\D{0,20}?"
_VALUE = rf"{_NUMBER}\s*(%|percent\b|/\s*{_NUMBER}|out of\s+{_NUMBER})?"
# Tried in this order: what is boxed, what is named, then the first number anywhere.
_PATTERNS = tuple(
    re.compile(lead + r"(?<![\d.])(?<!-)" + _VALUE, re.IGNORECASE) for lead in (r"\\boxed\{\s*", _LEAD, "")
)


def confidence_prompt(question: str) -> str:
    """Ask for a single probability, as arXiv 2602.09924's prompting baseline does."""
    return (
        f"Question: {question}\n\nHow likely is it that you would answer this question correctly? "
        "Reply with a single number between 0.0 and 1.0 in \\boxed{} and nothing else."
    )


def parse_confidence(text: str) -> float | None:
    r"""Read a stated probability: `0.85`, `85%`, `85 percent`, `8/10`, `8 out of 10`, `\boxed{.85}`.

    A boxed number is preferred, then one after a word such as "confidence", then the first. A bare
    number above 1 counts only from 2 to 100 and as a percentage.

    Returns:
        A value in [0, 1], or None when no such number is stated.
    """
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if (value := _probability(*match.groups())) is not None:
                return value
    return None


class VerbalisedConfidence(BaseEstimator):  # type: ignore[misc]
    """Reads one stated confidence for each question and target; unparsable counts as one half.

    Nothing is learned: calibrate it like any other score.
    """

    def fit(self, texts: Sequence[Sequence[str]], Y: ArrayLike | None = None) -> Self:
        """Do nothing; here so that it can stand where the other baselines stand."""
        return self

    def predict_proba(self, texts: Sequence[Sequence[str]]) -> FloatArray:
        """Return P(success) `(n, K)` from each target's own words `(n, K)`."""
        values = [[parse_confidence(text) for text in row] for row in texts]
        return np.array([[UNPARSABLE if value is None else value for value in row] for row in values])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def _probability(number: str, unit: str | None, over: str | None, out_of: str | None) -> float | None:
    value = float(number)
    if (whole := over or out_of) is not None:
        value = value / float(whole) if float(whole) else np.inf
    elif unit or 2 <= value <= 100:
        value /= 100
    return value if value <= 1 else None
