"""What a model is trained and judged on: questions, how they are asked, and how answers are graded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.core import DecodingPolicy, Question, Target
from forethought.errors import DataError
from forethought.models import LanguageModel
from forethought.outcomes.graders import grader
from forethought.targets import LocalResponder
from forethought.targets.generation import Prompt
from forethought.targets.sampling import sample_key


@dataclass(frozen=True)
class Task:
    """Questions asked of one model under one policy.

    Attributes:
        model: The unmodified model.
        policy: How it is asked; chat prompts.
        questions: At least one.
        seed: Of the random streams.
    """

    model: LanguageModel
    policy: DecodingPolicy
    questions: Sequence[Question]
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.questions:
            raise DataError("a task needs at least one question")

    def prompts(self) -> list[Prompt]:
        """What the model reads of each question.

        Raises:
            DataError: A question whose template alone exceeds the window.
        """
        return LocalResponder(self.model, Target("exits", self.model.name, self.policy)).prompts(self.questions)

    def key(self, question: int, sample: int) -> bytes:
        """The random stream of a question's sample."""
        return sample_key(self.seed, self.questions[question].id, sample)

    def text(self, tokens: Sequence[int]) -> str:
        """An answer's words."""
        return str(self.model.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()

    def success(self, question: int, tokens: Sequence[int]) -> float:
        """How right an answer is, in [0, 1]; 0 where none can be read out of it or the grader has no word."""
        asked = self.questions[question]
        return float(grader(asked.grader).grade(asked, self.text(tokens)).success or 0.0)

    def part(self, rows: Sequence[int]) -> Task:
        """The task of some of the questions."""
        return Task(self.model, self.policy, [self.questions[row] for row in rows], self.seed)
