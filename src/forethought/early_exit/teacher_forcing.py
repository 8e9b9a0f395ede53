"""What exits would say along the unmodified model's own answers, where no choice of theirs changes what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from forethought.early_exit.base import ExitRule, Look, Report, silent
from forethought.early_exit.model import ExitModel
from forethought.early_exit.passage import Answers, Prefix, PrefixReader, readout, run, run_moving
from forethought.early_exit.traces import Trace
from forethought.errors import DataError
from forethought.metrics import FloatArray, IntArray

_PASSES = 512
"""Most passes of a batch, padding aside: each holds a row over the whole vocabulary."""


@dataclass(frozen=True, eq=False)
class ExitReadouts:
    """The likeliest token at every depth, pass by pass.

    Attributes:
        layers: Of the exits, K of them.
        n_layers: L.
        question: Whose answer each pass belongs to, shape (passes,).
        teacher: Token of the unmodified model at full depth, shape (passes,).
        student: Of the adapted model at full depth, shape (passes,).
        exits: Of the adapted model read out at each exit, shape (K, passes).
    """

    layers: tuple[int, ...]
    n_layers: int
    question: IntArray
    teacher: IntArray
    student: IntArray
    exits: IntArray


@dataclass(frozen=True, eq=False)
class ForcedRule:
    """What a rule would choose in each pass, and how far that is from the unmodified model.

    Attributes:
        question: Whose answer each pass belongs to, shape (passes,).
        depths: Where the rule leaves, shape (passes,).
        agrees: Whether the likeliest token there is the unmodified model's, shape (passes,).
        divergence: KL(full || chosen) in nats, shape (passes,).
    """

    question: IntArray
    depths: IntArray
    agrees: IntArray
    divergence: FloatArray


@dataclass(frozen=True, eq=False)
class TeacherForced:
    """Everything read along the same answers.

    Attributes:
        readouts: Every exit by itself, of passes that went to full depth.
        rules: Name -> what the rule would choose.
    """

    readouts: ExitReadouts
    rules: Mapping[str, ForcedRule]


@torch.no_grad()
def teacher_force(
    model: ExitModel,
    rules: Mapping[str, ExitRule],
    traces: Sequence[Trace],
    keys: Sequence[bytes],
    *,
    report: Report = silent,
) -> TeacherForced:
    """Read the unmodified model's answers with every rule and at every exit.

    A token that a rule lets leave hands its frozen state to the deeper layers, so later tokens see the keys and
    values that they would see in decoding with `Propagate`.

    Args:
        model: Model with exits.
        rules: Name -> rule.
        traces: Answers of the unmodified model; one of a single token has no pass.
        keys: Of each trace's random stream.
        report: Called after each batch.

    Raises:
        DataError: No trace has two tokens.
    """
    useful = [i for i, trace in enumerate(traces) if len(trace.tokens) > 1]
    if not useful:
        raise DataError(f"none of {len(traces)} answers has two tokens: there is no pass to read")
    reader = PrefixReader(model)
    read: list[tuple[IntArray, ...]] = []
    forced: dict[str, list[tuple[IntArray | FloatArray, ...]]] = {name: [] for name in rules}
    done = 0
    for batch in _batches(traces, useful):
        part = _Part(model, reader, [traces[i] for i in batch])
        read.append(part.readouts())
        for name, rule in rules.items():
            forced[name].append(part.forced(rule, [keys[i] for i in batch]))
        done += len(batch)
        report(done, len(useful))
    question, teacher, student, exits = (np.concatenate(parts, axis=-1) for parts in zip(*read, strict=True))
    readouts = ExitReadouts(model.config.layers, model.n_layers, question, teacher, student, exits)
    return TeacherForced(
        readouts,
        {name: ForcedRule(question, *map(np.concatenate, zip(*parts, strict=True))) for name, parts in forced.items()},
    )


class _Part:
    """A batch of answers as the unmodified model reads it."""

    def __init__(self, model: ExitModel, reader: PrefixReader, traces: Sequence[Trace]) -> None:
        self.model = model
        self.answers = Answers.of([trace.prompt for trace in traces], [trace.tokens for trace in traces])
        self.prefix = reader.read(self.answers)
        self.taken = self.answers.passes
        rows = torch.tensor([trace.question for trace in traces])
        self.question = rows[:, None].expand(self.taken.shape)[self.taken].numpy()
        full = run(model.teacher, self.prefix, self.answers, ()).final
        self.wanted = torch.log_softmax(model.teacher.logits(full[self.taken]), dim=-1)

    def readouts(self) -> tuple[IntArray, ...]:
        """Questions, and the likeliest tokens of teacher, student and exits."""
        model, blocks = self.model, self.model.student
        passage = run(blocks, self.prefix, self.answers, model.config.layers)
        student = blocks.logits(passage.final[self.taken]).argmax(dim=-1)
        exits = [
            blocks.logits(model.heads.mapped(exit, hidden[self.taken])).argmax(dim=-1)
            for exit, hidden in enumerate(passage.exits)
        ]
        return self.question, self.wanted.argmax(dim=-1).numpy(), student.numpy(), torch.stack(exits).numpy()

    def forced(self, rule: ExitRule, keys: Sequence[bytes]) -> tuple[IntArray | FloatArray, ...]:
        """Depths, agreement and divergence of a rule."""
        final, depths = rule_pass(self.model, rule, self.prefix, self.answers, keys)
        logits = self.model.student.logits(readout(self.model, final, depths)[self.taken])
        chosen = torch.log_softmax(logits, dim=-1)
        divergence = functional.kl_div(chosen, self.wanted, reduction="none", log_target=True).sum(dim=-1)
        agrees = chosen.argmax(dim=-1) == self.wanted.argmax(dim=-1)
        # Float error below 0 would make a mean of nearly equal distributions negative.
        return depths[self.taken].numpy(), agrees.long().numpy(), divergence.clamp_min(0).double().numpy()


def rule_pass(
    model: ExitModel, rule: ExitRule, prefix: Prefix, answers: Answers, keys: Sequence[bytes]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pass every token of the answers through the adapted layers, each until the rule lets it leave.

    Args:
        model: Model with exits.
        rule: Who leaves where.
        prefix: Of these answers.
        answers: What is passed.
        keys: Of each row's random stream.

    Returns:
        Where each token stopped, (rows, passes, width), and at which depth, (rows, passes).
    """
    following = _Following(model, rule, answers, keys)
    final = run_moving(model.student, prefix, answers, (), following).final
    return final, following.depths


class _Following:
    """Asks a rule at every exit, pass by pass, which tokens go on.

    Attributes:
        depths: Where each token left, L for none, (rows, passes).
    """

    def __init__(self, model: ExitModel, rule: ExitRule, answers: Answers, keys: Sequence[bytes]) -> None:
        self._rule, self._taken, self._keys = rule, answers.passes, keys
        self._exits = {layer: exit for exit, layer in enumerate(model.config.layers)}
        self._full = model.n_layers
        self._before: torch.Tensor | None = None
        self.depths = torch.full(self._taken.shape, self._full)

    def __call__(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """Which tokens the layer is to change, (rows, passes)."""
        if (exit := self._exits.get(layer)) is not None:
            self._look(exit, layer, hidden)
        self._before = hidden
        return self.depths > layer

    def _look(self, exit: int, layer: int, hidden: torch.Tensor) -> None:
        assert self._before is not None, "no exit stands before layer 0"
        going = self._taken & (self.depths == self._full)
        for step in going.any(dim=0).nonzero()[:, 0].tolist():
            rows = going[:, step].nonzero()[:, 0]
            keys = [self._keys[row] for row in rows.tolist()]
            look = Look(exit, layer, hidden[rows, step], self._before[rows, step], step + 1, keys, rows)
            self.depths[rows[self._rule.leaves(look)], step] = layer


def _batches(traces: Sequence[Trace], useful: Sequence[int]) -> Iterator[list[int]]:
    """Answers of one prefix and of about one length, few enough passes at a time."""
    order = sorted(useful, key=lambda i: (traces[i].prompt.prefix, len(traces[i].tokens), i))
    batch: list[int] = []
    for i in order:
        passes = (len(batch) + 1) * (len(traces[i].tokens) - 1)
        if batch and (passes > _PASSES or traces[batch[0]].prompt.prefix != traces[i].prompt.prefix):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
