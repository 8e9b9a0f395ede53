"""Traces to begin from, put together from a model's own answers (arXiv 2501.17974, algorithm 3 and its filters)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from forethought.core import Question
from forethought.errors import ConfigError, DataError
from forethought.models import LanguageModel
from forethought.outcomes.graders import Grade
from forethought.targets.generation import Prompt
from forethought.training.trace_format import TraceFormat
from forethought.voting import Poll, SequentialVote
from forethought.voting.trace import CLOSE, OPEN


@dataclass(frozen=True)
class Sample:
    """One plain answer of the model.

    Attributes:
        text: As written.
        grade: Of it.
    """

    text: str
    grade: Grade


@dataclass(frozen=True)
class TraceText:
    """A trace to imitate; see `Learnable`."""

    prompt: Prompt
    tokens: list[int]
    chosen: list[bool]


@dataclass(frozen=True)
class TraceRecipe:
    """How many traces, of which questions.

    Attributes:
        votes: Voting traces.
        alpha: Traces of one trial for each voting trace; the paper found 1 best. 0 makes the paper's SV set.
        distinct: Fewest and most distinct answers among a question's samples for a voting trace: neither settled nor
            hopeless. The paper takes 4 to 8 of 32.
        orders: Voting traces of one question at most, each with its samples in an order of its own.
        rule: When a vote ends.
        seed: Of the order of samples and the choice of questions.
    """

    votes: int = 500
    alpha: float = 1.0
    distinct: tuple[int, int] = (4, 8)
    orders: int = 1
    rule: SequentialVote = field(default_factory=SequentialVote)
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.distinct
        if min(self.votes, self.orders) < 1 or not self.alpha >= 0 or not 1 <= low <= high:
            raise ConfigError(
                f"votes and orders must be >= 1, alpha >= 0 and distinct a range from 1 on, got {self.votes}, "
                f"{self.orders}, {self.alpha} and {self.distinct}"
            )


def vote_order(samples: Sequence[Sample], rule: SequentialVote, rng: random.Random) -> list[Sample] | None:
    """The samples of a voting trace in a random order, up to consensus or the cap; None where its answer is wrong.

    The paper's algorithm 3. Without consensus the paper ends on a random right answer among the trials, which tells
    the model what it cannot know; here the most frequent answer counts, as it does when a trace is written.

    Args:
        samples: Independent answers to one question.
        rule: When the vote ends.
        rng: Of the order.
    """
    order = list(samples)
    rng.shuffle(order)
    poll = Poll(rule)
    for used, sample in enumerate(order, start=1):
        verdict = poll.update(sample.grade.answer)
        if verdict.stop:
            elected = next((trial for trial in order[:used] if trial.grade.answer == verdict.answer), None)
            return order[:used] if elected is not None and elected.grade.success == 1.0 else None
    return None


def traces_to_imitate(
    model: LanguageModel,
    form: TraceFormat,
    samples: Mapping[Question, Sequence[Sample]],
    prompts: Mapping[str, Prompt],
    recipe: TraceRecipe,
) -> list[TraceText]:
    """Voting traces of questions drawn evenly, and traces of one trial drawn evenly from all right answers.

    Answers with a tag in them and traces longer than the window are left out: no `TraceWriter` writes such.

    Args:
        model: Whose tokens they are.
        form: Literal parts.
        samples: Answers of the model to training questions.
        prompts: What is read of each question, by id.
        recipe: How many, of which.

    Raises:
        DataError: Fewer voting traces than wanted can be made, or no right answer for a trace of one trial.
    """
    rng = random.Random(f"traces-{recipe.seed}")
    samples = {question: [sample for sample in found if not _tagged(sample)] for question, found in samples.items()}
    traces = [
        trace
        for question, trials in _voting(samples, recipe, rng)
        if _fits(model, trace := _assembled(model, form, prompts[question.id], trials, vote=True))
    ]
    if len(traces) < recipe.votes:
        raise DataError(
            f"{recipe.votes} voting traces were asked for and {len(traces)} can be made of {len(samples)} questions "
            f"with {recipe.distinct[0]} to {recipe.distinct[1]} distinct answers: ask for fewer, "
            "sample more or widen the range"
        )
    single = [
        (question, sample) for question, found in samples.items() for sample in found if sample.grade.success == 1.0
    ]
    wanted = round(recipe.alpha * recipe.votes)
    if wanted and not single:
        raise DataError(f"none of the answers to {len(samples)} questions is right: there is nothing to imitate")
    rng.shuffle(single)
    drawn = [single[i % len(single)] for i in range(wanted)]
    once = (_assembled(model, form, prompts[q.id], [sample], vote=False) for q, sample in drawn)
    return traces[: recipe.votes] + [trace for trace in once if _fits(model, trace)]


def _tagged(sample: Sample) -> bool:
    return OPEN in sample.text or CLOSE in sample.text


def _fits(model: LanguageModel, trace: TraceText) -> bool:
    return len(trace.prompt.ids) + len(trace.tokens) <= model.context


def _voting(
    samples: Mapping[Question, Sequence[Sample]], recipe: TraceRecipe, rng: random.Random
) -> Iterator[tuple[Question, list[Sample]]]:
    """Voting traces of the questions that pass the filters: one of each in random order, then the next of each."""
    low, high = recipe.distinct
    answers = {question: {sample.grade.answer for sample in found} - {None} for question, found in samples.items()}
    questions = [question for question, distinct in answers.items() if low <= len(distinct) <= high]
    for _ in range(recipe.orders):
        rng.shuffle(questions)
        for question in questions:
            if (trials := vote_order(samples[question], recipe.rule, rng)) is not None:
                yield question, trials


def _assembled(
    model: LanguageModel, form: TraceFormat, prompt: Prompt, trials: Sequence[Sample], *, vote: bool
) -> TraceText:
    """A trace's tokens as `TraceWriter` has them, and which of them are the policy's."""
    tokens: list[int] = []
    chosen: list[bool] = []

    def put(ids: Sequence[int], *, own: int) -> None:
        """Add ids, the first `own` of which the policy chooses."""
        tokens.extend(ids)
        chosen.extend(place < own for place in range(len(ids)))

    choice = form.vote if vote else form.once
    if form.decide == "before":
        put(choice, own=1)
    for number, trial in enumerate(trials):
        opens = number == 1 and form.decide == "after_first"
        put((*form.trial, *form.restated(prompt)), own=1 if opens else 0)
        body = [*model.tokenizer(trial.text, add_special_tokens=False, verbose=False)["input_ids"], *form.end]
        put(body, own=len(body) - len(form.tail))
    if form.decide == "after_first" and not vote:
        put(choice[:1], own=1)
    elif form.tail:  # a trace ends where its last tag can be read
        del tokens[-len(form.tail) :], chosen[-len(form.tail) :]
    return TraceText(prompt, tokens, chosen)
