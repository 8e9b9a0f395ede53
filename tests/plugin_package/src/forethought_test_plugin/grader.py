from __future__ import annotations

from forethought.outcomes import Grade


class ShoutingGrader:
    """Right when the accepted answer is shouted."""

    name = "shouting"
    version = 1

    def extract(self, question, text):
        return text.strip() or None

    def grade(self, question, text):
        if (answer := self.extract(question, text)) is None:
            return Grade(0.0, "unparsable", None)
        right = answer in {accepted.upper() for accepted in question.answers}
        return Grade(float(right), "right" if right else "wrong", answer)
