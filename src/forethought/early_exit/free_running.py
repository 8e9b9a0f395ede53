"""Answers that a rule writes on its own, each token after those that it chose, and what every answer cost."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from forethought.early_exit.base import ExitAnswer, ExitRule, Report, silent
from forethought.early_exit.blocks import Blocks
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.meter import Meter
from forethought.early_exit.model import ExitModel
from forethought.early_exit.task import Task
from forethought.early_exit.traces import Trace
from forethought.errors import ConfigError
from forethought.targets.generation import Prompt


class AnswerCost(NamedTuple):
    """What the generated tokens of one answer cost, counted as `Meter` counts them.

    Nothing of the rows that stood beside it in a batch, nor of passes after its end, which a batch computes
    and throws away.

    Attributes:
        passes: One a token but the first.
        layers: Computed in them.
        macs: Multiply-accumulates: layers, attention, keys and values of skipped layers, looks, maps and head.
        full_macs: What the unmodified model would have spent on the same passes.
    """

    passes: int
    layers: int
    macs: int
    full_macs: int


@dataclass(frozen=True)
class FreeRun:
    """Answers of one rule to every question of a task.

    Attributes:
        prompts: What was read of each question, in the task's order.
        answers: One a question.
        meter: What the batches computed, passes that were thrown away included.
    """

    prompts: list[Prompt]
    answers: list[ExitAnswer]
    meter: Meter

    @property
    def traces(self) -> list[Trace]:
        """The answers as something to read along."""
        pairs = zip(self.prompts, self.answers, strict=True)
        return [Trace(i, prompt, answer.tokens) for i, (prompt, answer) in enumerate(pairs)]


def unadapted(model: ExitModel) -> ExitModel:
    """The same model whose generated tokens, too, go through the unmodified weights."""
    view = copy.copy(model)
    view.student = model.teacher
    return view


def free_run(model: ExitModel, rule: ExitRule, task: Task, *, batch_size: int = 64, report: Report = silent) -> FreeRun:
    """Let a rule answer every question of a task, under the task's policy and random streams.

    Args:
        model: Model with exits; from `unadapted` for the unmodified weights.
        rule: Who leaves where.
        task: Questions.
        batch_size: Most answers computed at once.
        report: Called after each batch.

    Raises:
        ConfigError: `batch_size` < 1.
        DataError: A question whose template alone exceeds the window.
    """
    prompts = task.prompts()
    decoder = ExitDecoder(model, rule, task.policy)
    answers: dict[int, ExitAnswer] = {}
    for batch in batches(prompts, batch_size):
        keys = [task.key(question, 0) for question in batch]
        written = decoder.generate([prompts[i] for i in batch], range(len(batch)), keys)
        answers.update(zip(batch, written, strict=True))
        report(len(answers), len(prompts))
    return FreeRun(prompts, [answers[i] for i in range(len(prompts))], decoder.meter)


def batches(prompts: Sequence[Prompt], size: int) -> Iterator[list[int]]:
    """Places of prompts that share a prefix, `size` at a time, similar lengths together: less padding.

    Raises:
        ConfigError: `size` < 1.
    """
    if size < 1:
        raise ConfigError(f"batch_size must be >= 1, got {size}")
    batch: list[int] = []
    for i in sorted(range(len(prompts)), key=lambda i: (prompts[i].prefix, len(prompts[i].ids), i)):
        if batch and (len(batch) == size or prompts[batch[0]].prefix != prompts[i].prefix):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def answer_cost(model: ExitModel, rule: ExitRule, prompt: int, depths: Sequence[int], *, fills: int = 1) -> AnswerCost:
    """What an answer cost by itself, from the depths of its tokens.

    Args:
        model: Model with exits.
        rule: Which decided the depths.
        prompt: Length of the prompt, tokens.
        depths: Of every token of the answer, the first included.
        fills: As in `CachePolicy`.
    """
    blocks, full = model.student, model.n_layers
    macs = full_macs = 0
    for step, depth in enumerate(depths[1:], start=1):
        macs += depth_macs(blocks, depth, prompt + step) + aside_macs(model, rule, depth, fills=fills)
        full_macs += depth_macs(blocks, full, prompt + step)
    return AnswerCost(max(len(depths) - 1, 0), sum(depths[1:]), macs, full_macs)


def depth_macs(blocks: Blocks, depth: int, keys: int) -> int:
    """Multiply-accumulates of one token's pass to a depth: layers, attention over `keys` keys, and head."""
    return sum(blocks.layer_macs[:depth]) + depth * blocks.attention_macs * keys + blocks.head_macs


def aside_macs(model: ExitModel, rule: ExitRule, depth: int, *, fills: int = 1) -> int:
    """Multiply-accumulates that one pass to a depth spends on exits: looks, map, keys and values of skipped layers."""
    looks = sum(layer <= depth for layer in model.config.layers) * rule.macs
    if depth == model.n_layers:
        return looks
    return looks + model.heads.map_macs + fills * sum(model.student.fill_macs[depth:])
