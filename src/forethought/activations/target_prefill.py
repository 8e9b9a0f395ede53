"""What a local target's own prefill holds: the states it starts from, and what it is about to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from forethought.activations.base import Float32Array
from forethought.activations.prefill import decoder_of
from forethought.core import Question
from forethought.errors import FeatureError
from forethought.targets.generation import Prompt
from forethought.targets.local import LocalResponder

BATCH = 64
SUMMARY = ("concentration", "first", "second", "entropy", "log concentration")
"""Of the next token's distribution at the policy's temperature: sum of squares, the two largest, nats, log."""


@dataclass(frozen=True, eq=False)
class TargetPrefill:
    """The end of each prompt as the target itself reads it; sampling computes the same anyway.

    Attributes:
        layers: Which states were read.
        states: Raw residual stream at the prompt's last token, shape (n, L, d).
        next_token: Summary of the first answer token's distribution (`SUMMARY`), shape (n, 5).
    """

    layers: tuple[int, ...]
    states: Float32Array
    next_token: Float32Array

    def take(self, rows: Sequence[int] | np.ndarray) -> TargetPrefill:
        """Some of the questions."""
        return TargetPrefill(self.layers, self.states[rows], self.next_token[rows])


def read_prefill(responder: LocalResponder, questions: Sequence[Question], layers: Sequence[int]) -> TargetPrefill:
    """Read a local target's prefill on its own prompts, solved examples included.

    Prompts that share a beginning are read together and their beginning once, as in generation.

    Args:
        responder: The target.
        questions: The n questions.
        layers: 1 for the raw output of the first block, and so on.

    Raises:
        FeatureError: A layer that the model lacks, or a state that is not finite.
    """
    depth = responder.model.n_layers
    if not layers or not all(1 <= layer <= depth for layer in layers):
        raise FeatureError(f"layers {list(layers)} asked; {responder.model.name} can be read at 1 to {depth}")
    prompts = responder.prompts(questions)
    states = np.empty((len(prompts), len(layers), responder.model.width), dtype=np.float32)
    summary = np.empty((len(prompts), len(SUMMARY)), dtype=np.float32)
    temperature = responder.target.policy.temperature or 1.0
    with _last_states(responder, layers) as read, torch.inference_mode():
        for rows in _batches(prompts):
            logits, _, _ = responder.generator.prefill([prompts[row] for row in rows])
            states[rows] = torch.stack([read[layer] for layer in layers], dim=1).numpy()
            summary[rows] = _summary(logits / temperature).numpy()
    if not (np.isfinite(states).all() and np.isfinite(summary).all()):
        raise FeatureError(f"{responder.model.name} gave NaN or infinite activations")
    return TargetPrefill(tuple(layers), states, summary)


@contextmanager
def _last_states(responder: LocalResponder, layers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Filled by each prefill with the last position's states, which left padding puts at the end of every row."""
    decoder, name = decoder_of(responder.model.model)
    blocks = getattr(decoder, name)
    read: dict[int, Tensor] = {}

    def tap(layer: int) -> object:
        def hook(_module: object, _given: object, output: Tensor | tuple[Tensor, ...]) -> None:
            states = output if isinstance(output, Tensor) else output[0]
            read[layer] = states[:, -1].float()

        return hook

    handles = [blocks[layer - 1].register_forward_hook(tap(layer)) for layer in layers]
    try:
        yield read
    finally:
        for handle in handles:
            handle.remove()


def _batches(prompts: Sequence[Prompt]) -> Iterator[list[int]]:
    """Rows of one prefix, of like length."""
    order = sorted(range(len(prompts)), key=lambda i: (prompts[i].prefix, len(prompts[i].ids), i))
    batch: list[int] = []
    for row in order:
        if batch and (len(batch) == BATCH or prompts[batch[0]].prefix != prompts[row].prefix):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _summary(logits: Tensor) -> Tensor:
    log_p = torch.log_softmax(logits, dim=-1)
    p = log_p.exp()
    squares = (p * p).sum(dim=-1)
    first, second = p.topk(2, dim=-1).values.T
    return torch.stack([squares, first, second, -(p * log_p).sum(dim=-1), squares.log()], dim=1)
