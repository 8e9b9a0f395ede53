"""Multiple choice, by letter."""

from __future__ import annotations

import re

from forethought.core import Question
from forethought.errors import DataError
from forethought.outcomes.graders.base import Grade, judged, unparsable
from forethought.outcomes.graders.text import normalise

LETTER = r"[\s(\[*_{$]*([A-J](?:[\s)\]]*(?:,|/|&|\bor\b|\band\b)[\s(\[]*[A-J]\b)*)(?![\w'’])"
# From the most to the least explicit; within one, the last match counts but for an answer's very first letter.
BOXED = re.compile(r"\\boxed\{(?:\\text\w*\{)?" + LETTER)
STATED = re.compile(
    r"(?i:\b(?:answer|choice|option)\b(?: is)?(?: (?:option|choice))?\s*[:=]?)" + LETTER + r"(?! [a-z])"
)
LEADING = re.compile(r"\A" + LETTER + r"(?=[\s*_]*(?:[).:\]},-]|\n|\Z))")
BRACKETED = re.compile(r"\(" + LETTER + r"\)")
OPTION = re.compile(r"^[\s(\[*]*([A-J])[).:\]][\s*]*(\S.*)$", re.M)


class ChoiceGrader:
    r"""Right if the chosen letters are exactly those of an accepted answer.

    The letter is read from `\boxed{B}`, else "the answer is B", else a text that begins with a
    letter, else the last letter in brackets, else a text that is one option's wording. "A or B"
    chooses two, so it is right only where both together are the answer.
    """

    name = "choice"
    version = 1

    def extract(self, question: Question, text: str) -> str | None:
        """The chosen letters, sorted (`B`, or `A,C`), None when no choice can be read."""
        text = text.strip()
        for pattern in (BOXED, STATED, LEADING, BRACKETED):
            if found := pattern.findall(text):
                return _letters(found[-1])
        options = {normalise(wording): letter for letter, wording in OPTION.findall(question.text)}
        return options.get(normalise(text))

    def grade(self, question: Question, text: str) -> Grade:
        """Compare letters with every accepted answer (`B`, `(B)` or `A, C`).

        Raises:
            DataError: No accepted answer is a letter from A to J.
        """
        accepted = {_letters(answer) for answer in question.answers if re.fullmatch(r"[\W_]*([A-J][\W_]*)+", answer)}
        if not accepted:
            raise DataError(f"question {question.id!r} has no letter A-J among its accepted answers {question.answers}")
        answer = self.extract(question, text)
        return unparsable("no choice in the text") if answer is None else judged(answer in accepted, answer)


def _letters(text: str) -> str:
    return ",".join(sorted(set(re.findall(r"[A-J]", text))))
