"""Encoder over a local transformers decoder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from numpy.typing import NDArray

from forethought.activations.base import Float32Array
from forethought.activations.batching import token_batches
from forethought.activations.prefill import decoder_of, padded, truncated
from forethought.activations.readouts import pool, readout_names
from forethought.core import FeatureSpec, Question
from forethought.errors import ConfigError, FeatureError

if TYPE_CHECKING:
    from torch import Tensor

    from forethought.models import LanguageModel

_log = logging.getLogger(__name__)


@final
class TransformersEncoder:
    """Reads prompts with a local decoder, batched by tokens and cut after the deepest layer asked for.

    Prompts are padded here, on the right, whatever the tokenizer's own padding side. In float32 a
    vector does not depend on what else stands in its batch, to 1e-4 relative; in bfloat16 it does.

    Args:
        model: The loaded model.
        system: System turn put before each chat.
        batch_tokens: Most tokens a batch, padding included. On one CPU core 1024 was fastest: larger batches
            leave the cache between operations.
        window: Longest prompt, tokens. Of a longer one the middle of the last user turn is left out
            (and said in the log); its head and the end-of-instruction tokens never are.

    Raises:
        ConfigError: `batch_tokens` or `window` below 1.
        FeatureError: The architecture cannot be read.
    """

    def __init__(
        self, model: LanguageModel, *, system: str | None = None, batch_tokens: int = 1024, window: int = 2048
    ) -> None:
        if batch_tokens < 1 or window < 1:
            raise ConfigError(f"batch_tokens and window must be >= 1, got {batch_tokens} and {window}")
        self.model = model
        self.system = system
        self.batch_tokens = batch_tokens
        self.window = min(window, model.context)
        self._decoder, self._blocks = decoder_of(model.model)

    def __repr__(self) -> str:
        return f"TransformersEncoder({self.name!r}, {self.n_layers} layers, width {self.width}, window {self.window})"

    @property
    def name(self) -> str:
        """Name of the model read."""
        return self.model.name

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return self.model.n_layers

    @property
    def width(self) -> int:
        """Size of the residual stream."""
        return self.model.width

    @property
    def readouts(self) -> tuple[str, ...]:
        """Every readout that the model's template offers."""
        return readout_names(self.model.eoi_length(self.system))

    def spec(self, layers: tuple[int, ...], readout: str) -> FeatureSpec:
        """What the vector of these layers at this readout means.

        Raises:
            FeatureError: A layer or a readout that the model lacks.
        """
        self._check(layers, [readout])
        return FeatureSpec(
            encoder=self.name,
            weights=self.model.weights,
            template=self.model.chat.fingerprint(self.system),
            layers=tuple(layers),
            readout=readout,
            dtype=self.model.dtype,
        )

    def encode(self, questions: Sequence[Question], *, layers: Sequence[int], readouts: Sequence[str]) -> Float32Array:
        """Raw residual stream of each question at the asked layers and readouts.

        Args:
            questions: In any order and of any length.
            layers: 0 for the embeddings, l for the raw output of block l.
            readouts: Of `self.readouts`.

        Returns:
            (n, len(layers), len(readouts), width), float32.

        Raises:
            FeatureError: A layer or readout that the model lacks, or a vector that is not finite.
        """
        self._check(layers, readouts)
        prompts = [self._prompt(question) for question in questions]
        out = np.empty((len(prompts), len(layers), len(readouts), self.width), dtype=np.float32)
        for rows in token_batches([len(prompt) for prompt in prompts], self.batch_tokens):
            out[rows] = self._prefill([prompts[row] for row in rows], tuple(layers), tuple(readouts)).numpy()
            for row in rows[~np.isfinite(out[rows]).all(axis=(1, 2, 3))]:
                raise FeatureError(f"{self.name} gave NaN or infinite activations for question {questions[row].id!r}")
        return out

    def lengths(self, questions: Sequence[Question]) -> NDArray[np.int64]:
        """Tokens of each prompt as it is read, the template's included, (n,)."""
        prompts = (self.model.render(question.messages, self.system, limit=self.window) for question in questions)
        return np.fromiter((len(prompt) for prompt in prompts), dtype=np.int64, count=len(questions))

    def _prompt(self, question: Question) -> list[int]:
        ids = self.model.render(question.messages, self.system, limit=self.window)
        if len(ids) == self.window:
            whole = len(self.model.chat.encode(question.messages, self.system))
            if whole > self.window:
                _log.warning(
                    "question %r has %d tokens, the window %d: %d were cut from the middle of its last user turn",
                    question.id,
                    whole,
                    self.window,
                    whole - self.window,
                )
        return ids

    @torch.inference_mode()
    def _prefill(self, prompts: list[list[int]], layers: tuple[int, ...], readouts: tuple[str, ...]) -> Tensor:
        """Pooled states of one batch, (b, len(layers), len(readouts), width)."""
        ids, lengths = padded(prompts)
        pooled: dict[int, Tensor] = {}

        def read(layer: int, hidden: Tensor) -> None:
            if layer in layers:
                pooled[layer] = pool(hidden, lengths, readouts)

        depth = max(1, *layers)
        truncated(self._decoder, self._blocks, depth, read)(input_ids=ids, use_cache=False)
        return torch.stack([pooled[layer] for layer in layers], dim=1)

    def _check(self, layers: Sequence[int], readouts: Sequence[str]) -> None:
        wrong = [layer for layer in layers if not 0 <= layer <= self.n_layers]
        if wrong or not layers:
            raise FeatureError(f"layers {wrong} of {list(layers)} asked; {self.name} has layers 0 to {self.n_layers}")
        offered = self.readouts
        unknown = [readout for readout in readouts if readout not in offered]
        if unknown or not readouts:
            raise FeatureError(f"readouts {unknown} of {list(readouts)} asked; {self.name} offers {', '.join(offered)}")
