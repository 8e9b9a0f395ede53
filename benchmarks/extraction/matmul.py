"""How many operations a prefill needs, how fast it does them, and how fast the bare products are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from forethought.activations import TransformersEncoder
from forethought.core import Question


@dataclass(frozen=True)
class PrefillWork:
    """An extraction and the operations that it cannot do without.

    Attributes:
        encoder: What reads the questions.
        questions: Read at `layers` and `readouts`.
        operations: Floating-point operations: 2 for each weight of the blocks that run and each token,
            plus causal attention's two products, 2 t (t + 1) heads head_dim for a prompt of t tokens and
            a block. Padding is not counted: it is waste.
        tokens: Prompt tokens, padding left out.
    """

    encoder: TransformersEncoder
    questions: Sequence[Question]
    layers: tuple[int, ...]
    readouts: tuple[str, ...]
    operations: float
    tokens: int

    @classmethod
    def of(
        cls,
        encoder: TransformersEncoder,
        questions: Sequence[Question],
        layers: tuple[int, ...],
        readouts: tuple[str, ...],
    ) -> PrefillWork:
        lengths = encoder.lengths(questions)
        config = encoder.model.model.config
        depth = max(layers)
        weights = sum(linear.weight.numel() for linear in linears(encoder)) * depth
        attention = 2 * depth * config.num_attention_heads * config.head_dim * float((lengths * (lengths + 1)).sum())
        tokens = int(lengths.sum())
        return cls(encoder, questions, layers, readouts, 2.0 * weights * tokens + attention, tokens)


def linears(encoder: TransformersEncoder) -> Iterator[nn.Linear]:
    """The matrices of one block; all blocks have the same shapes."""
    block = encoder.model.model.get_decoder().layers[0]
    return (module for module in block.modules() if isinstance(module, nn.Linear))


def prefill_rate(work: PrefillWork) -> float:
    """Needed operations per second of CPU time, tokenisation and pooling included."""
    start = time.process_time()
    work.encoder.encode(work.questions, layers=work.layers, readouts=work.readouts)
    return work.operations / (time.process_time() - start)


@torch.inference_mode()
def matmul_rate(work: PrefillWork, seconds: float = 1.0) -> float:
    """Operations per second of CPU time of one block's matrix products on a full batch of tokens, and nothing else."""
    encoder = work.encoder
    matrices = [linear.weight for linear in linears(encoder)]
    tokens = min(encoder.batch_tokens, work.tokens)
    inputs = [torch.randn(tokens, matrix.shape[1]).to(matrix.dtype) for matrix in matrices]
    operations, start = 0, time.process_time()
    while (passed := time.process_time() - start) < seconds:
        for matrix, x in zip(matrices, inputs, strict=True):
            nn.functional.linear(x, matrix)
            operations += 2 * tokens * matrix.numel()
    return operations / passed
