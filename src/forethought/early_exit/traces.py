"""What the unmodified model answers of itself: the material of self-distillation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from forethought.artifacts import atomic_write
from forethought.core import DecodingPolicy, content_hash
from forethought.early_exit.base import Report, silent
from forethought.early_exit.task import Task
from forethought.errors import ArtifactError, DataError
from forethought.targets.generation import Generator, Prompt

SLICE = 64
"""Questions a shard: about half a minute of answering on one core."""


@dataclass(frozen=True)
class Trace:
    """One answer.

    Attributes:
        question: Its place in the task.
        prompt: What was read.
        tokens: What was written.
    """

    question: int
    prompt: Prompt
    tokens: Sequence[int]


def with_passes(traces: Sequence[Trace]) -> list[Trace]:
    """Those that generated tokens passed for: the only token of an answer of one is predicted by the prompt's own pass.

    Raises:
        DataError: There are none.
    """
    found = [trace for trace in traces if len(trace.tokens) > 1]
    if not found:
        raise DataError(f"none of {len(traces)} traces has two tokens: there is no pass to learn from")
    return found


def record_traces(task: Task, out: Path, *, samples: int, temperature: float, report: Report = silent) -> list[Trace]:
    """Let the unmodified model answer every question `samples` times, slice by slice.

    What lies in `out` already is kept: a killed run goes on where it was.

    Args:
        task: Questions and how they are asked.
        out: Folder of shards.
        samples: Answers a question.
        temperature: Of these answers, whatever the task's policy; 0 with one sample records greedy answers.
        report: Called after each slice.

    Raises:
        ArtifactError: A shard that cannot be read.
    """
    policy = DecodingPolicy(**{**asdict(task.policy), "temperature": temperature})
    prompts = task.prompts()
    slices = [range(first, min(first + SLICE, len(prompts))) for first in range(0, len(prompts), SLICE)]
    traces: list[Trace] = []
    for done, part in enumerate(slices):
        shard = out / f"traces-{_hash(task, policy, samples, part)}.json"
        if not shard.is_file():
            answers = _answers(task, policy, [prompts[i] for i in part], part, samples)
            with atomic_write(shard) as new:
                new.write_text(json.dumps(answers))
        traces.extend(_read(shard, part, samples, prompts))
        report(done + 1, len(slices))
    return traces


def _answers(
    task: Task, policy: DecodingPolicy, prompts: Sequence[Prompt], part: Sequence[int], samples: int
) -> list[list[int]]:
    """Token ids of every answer, question by question."""
    generator = Generator(task.model, policy, task.model.eos.__contains__)
    rows = [row for row in range(len(prompts)) for _ in range(samples)]
    keys = [task.key(question, sample) for question in part for sample in range(samples)]
    if len({prompt.prefix for prompt in prompts}) > 1:
        return [generator.generate([prompts[row]], [0], [key])[0].tokens for row, key in zip(rows, keys, strict=True)]
    return [answer.tokens for answer in generator.generate(prompts, rows, keys)]


def _read(shard: Path, part: Sequence[int], samples: int, prompts: Sequence[Prompt]) -> Iterator[Trace]:
    try:
        answers = json.loads(shard.read_text())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{shard} cannot be read: {error}; delete it to record it anew") from error
    if not _answers_of(answers, len(part) * samples):
        raise ArtifactError(
            f"{shard} does not hold {len(part) * samples} answers, each a list of token ids; delete it to record it "
            "anew"
        )
    for place, tokens in enumerate(answers):
        question = part[place // samples]
        yield Trace(question, prompts[question], tokens)


def _answers_of(found: object, count: int) -> bool:
    """Whether what a shard holds is so many answers."""
    return (
        isinstance(found, list)
        and len(found) == count
        and all(isinstance(answer, list) and answer for answer in found)
        and all(type(token) is int and token >= 0 for answer in found for token in answer)
    )


def _hash(task: Task, policy: DecodingPolicy, samples: int, part: Sequence[int]) -> str:
    asked = [task.questions[i].id for i in part]
    texts = [[message.content for message in task.questions[i].messages] for i in part]
    parts = [task.model.weights, task.model.template, asdict(policy), samples, task.seed, asked, texts]
    return content_hash(json.dumps(parts))[:16]
