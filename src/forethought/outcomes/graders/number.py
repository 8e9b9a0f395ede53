"""Numbers, compared by value."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation, localcontext

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.graders.base import Grade, judged, unparsable

# Three digits of exponent are enough for any answer and keep arithmetic cheap.
NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-+]?)\s?[$€£¥]?\s?"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?P<exponent>[eE][-+]?\d{1,3}(?!\d))?"
    r"(?:\s?/\s?(?P<denominator>\d+)(?![\d.]))?"
)
MARKER = re.compile(r"####|\\boxed\b|\banswer\b[^\d\n]{0,40}?(?:\bis\b|[:=])", re.I)
PRECISION = 50
RELATIVE_TOLERANCE = Decimal("1e-9")


class NumberGrader:
    """Right if the stated number equals an accepted one to 1e-9 of its size.

    The stated number is the first after the last marker (`####`, `\\boxed`, "answer is"), without a
    marker the last in the text. Thousands separators, currency and percent signs are passed over
    ("50 %" is 50); `3/4` is a fraction. Numbers in words are not read.
    """

    name = "number"
    version = 1

    def extract(self, question: Question, text: str) -> str | None:
        """The stated number in a normal form (`1,200.50` -> `1200.5`), None when there is none."""
        value = _stated(text)
        return None if value is None else _canonical(value)

    def grade(self, question: Question, text: str) -> Grade:
        """Compare by value with every accepted answer.

        Raises:
            DataError: No accepted answer holds a number.
        """
        accepted = [value for value in map(_stated, question.answers) if value is not None]
        if not accepted:
            raise DataError(f"question {question.id!r} has no number among its accepted answers {question.answers}")
        value = _stated(text)
        if value is None:
            return unparsable("no number in the text")
        return judged(any(_close(value, reference) for reference in accepted), _canonical(value))


def _stated(text: str) -> Decimal | None:
    text = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").replace("\N{FRACTION SLASH}", "/")
    for marker in reversed([*MARKER.finditer(text)]):
        if found := NUMBER.search(text, marker.end()):
            return _value(found)
    found = None
    for found in NUMBER.finditer(text):  # noqa: B007
        pass
    return _value(found) if found else None


def _value(found: re.Match[str]) -> Decimal | None:
    digits = found["digits"].replace(",", "") + (found["exponent"] or "")
    try:
        with localcontext(prec=PRECISION):
            value = Decimal(digits) / Decimal(found["denominator"] or 1)
    except (InvalidOperation, ZeroDivisionError):
        return None
    return -value if found["sign"] == "-" else value


def _close(a: Decimal, b: Decimal) -> bool:
    with localcontext(prec=PRECISION):
        return abs(a - b) <= RELATIVE_TOLERANCE * max(abs(a), abs(b))


def _canonical(value: Decimal) -> str:
    with localcontext(prec=15):
        rounded = value.normalize()
    return "0" if not rounded else format(rounded, "f" if abs(rounded.adjusted()) < 30 else "g")
