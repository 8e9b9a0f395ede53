"""All tokens of recorded answers at once, each to a prescribed depth: what training differentiates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.blocks import Blocks
from forethought.early_exit.cache import prefix_cache
from forethought.early_exit.frame import left_padded
from forethought.early_exit.model import ExitModel
from forethought.errors import DataError
from forethought.targets.generation import Generator, Prompt

Moving = Callable[[int, torch.Tensor], torch.Tensor | None]
"""Which tokens a layer is to change."""


@dataclass(frozen=True)
class Answers:
    """Recorded answers as a rectangle.

    Attributes:
        prompts: Distinct; those that share their prefix are read together for less.
        rows: For each answer, the index of its prompt.
        tokens: Ids, padded on the right, (rows, T).
        real: Which of them are tokens, bool, (rows, T).
    """

    prompts: Sequence[Prompt]
    rows: Sequence[int]
    tokens: torch.Tensor
    real: torch.Tensor

    @classmethod
    def of(cls, prompts: Sequence[Prompt], answers: Sequence[Sequence[int]]) -> Answers:
        """Answers and the prompt of each.

        Raises:
            DataError: None, or an empty one, or not one prompt each.
        """
        if not answers or len(prompts) != len(answers) or not all(answers):
            raise DataError(
                f"each answer needs a prompt and a token: {len(prompts)} prompts for {len(answers)} answers, the "
                f"shortest of {min(map(len, answers), default=0)} tokens"
            )
        distinct = list(dict.fromkeys(prompts))
        place = {prompt: i for i, prompt in enumerate(distinct)}
        width = max(map(len, answers))
        tokens = torch.tensor([[*answer, *[0] * (width - len(answer))] for answer in answers])
        real = torch.tensor([[True] * len(answer) + [False] * (width - len(answer)) for answer in answers])
        return cls(distinct, [place[prompt] for prompt in prompts], tokens, real)

    @property
    def inputs(self) -> torch.Tensor:
        """The tokens that passes are made of, (rows, T - 1): all but the last."""
        return self.tokens[:, :-1]

    @property
    def predicted(self) -> torch.Tensor:
        """What each pass should predict, (rows, T - 1)."""
        return self.tokens[:, 1:]

    @property
    def passes(self) -> torch.Tensor:
        """Which passes are real, bool, (rows, T - 1)."""
        return self.real[:, 1:]


@dataclass(frozen=True)
class Prefix:
    """Prompts as the unmodified model read them, one row an answer.

    Attributes:
        cache: Their keys and values.
        real: Which places hold a token, bool, (rows, places).
        lengths: Tokens of each, (rows,).
        logits: What the prompt itself predicts, (rows, vocabulary).
    """

    cache: Any
    real: torch.Tensor
    lengths: torch.Tensor
    logits: torch.Tensor


@dataclass(frozen=True)
class Passage:
    """States of every pass.

    Attributes:
        exits: h_l at each exit, frozen where a token left before, (K, rows, passes, width).
        final: Where each token stopped, (rows, passes, width).
    """

    exits: torch.Tensor
    final: torch.Tensor


class PrefixReader:
    """Reads prompts with the unmodified model, the part that all share once.

    Args:
        model: Model with exits.
    """

    def __init__(self, model: ExitModel) -> None:
        self._model = model
        self._generator = Generator(model.base, DecodingPolicy(max_tokens=1), model.base.eos.__contains__)

    @torch.no_grad()
    def read(self, answers: Answers) -> Prefix:
        """Prompts of some answers."""
        blocks, room = self._model.teacher, answers.tokens.shape[1]
        logits, cache, mask = self._generator.prefill(left_padded(answers.prompts, blocks.window, room))
        index = torch.tensor(answers.rows)
        lengths = torch.tensor([len(answers.prompts[row].ids) for row in answers.rows])
        return Prefix(prefix_cache(cache, mask.shape[1], index), mask[index], lengths, logits[index])


def run(
    blocks: Blocks, prefix: Prefix, answers: Answers, exits: Sequence[int], depths: torch.Tensor | None = None
) -> Passage:
    """Pass every token of the answers through the layers, each to its depth.

    A token that left keeps its residual stream, and deeper layers take keys and values from it, as the
    decoder with `Propagate` does; both give the same logits.

    Args:
        blocks: `teacher` or `student` of a model with exits.
        prefix: Of these answers.
        answers: What is passed.
        exits: Layers to keep the states of.
        depths: (rows, passes), layers that run for each token; None is all.
    """
    return run_moving(blocks, prefix, answers, exits, lambda layer, hidden: None if depths is None else depths > layer)


def run_moving(blocks: Blocks, prefix: Prefix, answers: Answers, exits: Sequence[int], moving: Moving) -> Passage:
    """As `run`, where it is decided layer by layer who goes on.

    Args:
        blocks: `teacher` or `student` of a model with exits.
        prefix: Of these answers.
        answers: What is passed.
        exits: Layers to keep the states of.
        moving: Of a layer and the states before it, (rows, passes, width): which tokens it is to change, bool,
            (rows, passes), or None for all.
    """
    inputs = answers.inputs
    hidden = blocks.embed(inputs)
    positions = prefix.lengths[:, None] + torch.arange(inputs.shape[1])
    real = torch.cat([prefix.real, torch.ones_like(inputs, dtype=torch.bool)], dim=1)
    frame = blocks.frame(hidden, positions, real)
    kept = {}
    for layer in range(blocks.n_layers):
        if layer in exits:
            kept[layer] = hidden
        chosen = moving(layer, hidden)
        new = blocks.layer(layer, hidden, frame, prefix.cache)
        hidden = new if chosen is None else torch.where(chosen[..., None], new, hidden)
    states = [kept[layer] for layer in exits]
    return Passage(torch.stack(states) if states else hidden.new_empty(0, *hidden.shape), hidden)


def readout(model: ExitModel, final: torch.Tensor, depths: torch.Tensor) -> torch.Tensor:
    """The states that the final norm and head read: mapped where a token left at an exit.

    Args:
        model: Model with exits.
        final: Where each token stopped, (..., width).
        depths: Layers that ran for it, (...).
    """
    states = final
    for exit, layer in enumerate(model.config.layers):
        if model.heads.maps and bool((gone := depths == layer).any()):
            states = torch.where(gone[..., None], model.heads.mapped(exit, final), states)
    return states
