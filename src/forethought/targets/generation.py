"""Batched generation: a shared prefix computed once, rows expanded from it, finished rows dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache as once
from inspect import signature
from typing import Any, Literal, NamedTuple

import torch

from forethought.core import DecodingPolicy
from forethought.models import LanguageModel
from forethought.targets.kv_cache import copy_rows, new_cache
from forethought.targets.sampling import choose_tokens

# Copying the cache to drop rows costs about as much as computing an eighth of them once more.
_DROP_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, of which the first `shared` are those of every prompt in its batch."""

    ids: tuple[int, ...]
    shared: int

    @property
    def prefix(self) -> tuple[int, ...]:
        """The shared part."""
        return self.ids[: self.shared]


@dataclass(slots=True)
class Generated:
    """One row's answer while it grows."""

    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finish: Literal["stop", "length"] = "length"


class Token(NamedTuple):
    """One token of an answer that is told as it grows.

    Attributes:
        id: In the vocabulary.
        logprob: At temperature 1.
        stop: Whether it ends the answer.
    """

    id: int
    logprob: float
    stop: bool


class Generator:
    """Generates answers with one model under one policy.

    Args:
        model: The model.
        policy: Temperature, nucleus and longest answer.
        stops: Whether a token ends an answer.
    """

    def __init__(self, model: LanguageModel, policy: DecodingPolicy, stops: Callable[[int], bool]) -> None:
        self._model = model
        self._policy = policy
        self._stops = stops
        self._prefix: tuple[tuple[int, ...], Any] = ((), None)

    def under(self, policy: DecodingPolicy, stops: Callable[[int], bool]) -> Generator:
        """A generator of the same kind under another policy."""
        return Generator(self._model, policy, stops)

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Prompt], rows: Sequence[int], keys: Sequence[bytes]) -> list[Generated]:
        """Answer `prompts[rows[i]]` with the random stream `keys[i]`, for every i.

        Args:
            prompts: Distinct prompts with the same prefix; each is prefilled once.
            rows: For each answer, the index of its prompt.
            keys: For each answer, the key of its random stream.
        """
        logits, cache, mask = self.prefill(prompts)
        index = torch.tensor(rows)
        cache = copy_rows(cache, index, mask.shape[1] + self._policy.max_tokens)
        positions = torch.tensor([len(prompts[row].ids) for row in rows])
        return self._decode(Rows(cache, mask[index], positions, logits[index], list(keys)))

    @torch.inference_mode()
    def stream(self, prompt: Prompt, key: bytes, policy: DecodingPolicy | None = None) -> Iterator[Token]:
        """Answer one prompt token by token, as `generate` does: each is computed when it is asked for.

        Args:
            prompt: What is read.
            key: Of the random stream.
            policy: Temperature, nucleus and longest answer of this answer alone, by default the generator's own.
        """
        policy = policy or self._policy
        logits, cache, mask = self.prefill([prompt])
        first = torch.zeros(1, dtype=torch.long)
        cache = copy_rows(cache, first, mask.shape[1] + policy.max_tokens)
        rows = Rows(cache, mask, torch.tensor([len(prompt.ids)]), logits, [key])
        for step in range(policy.max_tokens):
            chosen, logprobs = choose_tokens(rows.logits, policy, rows.keys, step)
            token = int(chosen[0])
            stop = self._stops(token)
            yield Token(token, float(logprobs[0]), stop)
            if stop or step + 1 == policy.max_tokens:
                return
            rows.advance(self._model.model, chosen)

    def prefill(self, prompts: Sequence[Prompt]) -> tuple[torch.Tensor, Any, torch.Tensor]:
        """Logits (prompts, vocabulary) after each prompt, the cache, and its padding mask (prompts, positions)."""
        prefix = prompts[0].prefix
        tails = [prompt.ids[prompt.shared :] for prompt in prompts]
        width = max(map(len, tails))
        ids = torch.tensor([[0] * (width - len(tail)) + list(tail) for tail in tails])
        real = torch.tensor([[False] * (width - len(tail)) + [True] * len(tail) for tail in tails])
        mask = torch.cat([torch.ones(len(tails), len(prefix), dtype=torch.bool), real], dim=1)
        positions = len(prefix) + (real.cumsum(dim=1) - 1).clamp_min(0)
        cache = self._start(prefix, len(tails), width)
        return forward(self._model.model, ids, positions, mask, cache), cache, mask

    def _decode(self, rows: Rows) -> list[Generated]:
        answers = [Generated() for _ in rows.keys]
        for step in range(self._policy.max_tokens):
            tokens, logprobs = choose_tokens(rows.logits, self._policy, rows.keys, step)
            self._record([answers[i] for i in rows.origin], tokens.tolist(), logprobs.tolist())
            done = [answers[i].finish == "stop" for i in rows.origin]
            if all(done) or step + 1 == self._policy.max_tokens:
                break
            if sum(done) >= max(1.0, len(done) * _DROP_SHARE):
                tokens = tokens[rows.keep([i for i, finished in enumerate(done) if not finished])]
            rows.advance(self._model.model, tokens)
        return answers

    def _record(self, answers: list[Generated], tokens: list[int], logprobs: list[float]) -> None:
        for answer, token, logprob in zip(answers, tokens, logprobs, strict=True):
            if answer.finish == "stop":
                continue
            answer.tokens.append(token)
            answer.logprob += logprob
            if self._stops(token):
                answer.finish = "stop"

    def _start(self, prefix: tuple[int, ...], rows: int, width: int) -> Any:
        """A cache holding the prefix in every row, with room for `width` more positions."""
        if not prefix:
            return new_cache(self._model.n_layers, width)
        if self._prefix[0] != prefix:
            cache = new_cache(self._model.n_layers, len(prefix))
            ids = torch.tensor([prefix])
            forward(self._model.model, ids, torch.arange(len(prefix))[None], torch.ones_like(ids).bool(), cache)
            self._prefix = (prefix, cache)
        return copy_rows(self._prefix[1], torch.zeros(rows, dtype=torch.long), len(prefix) + width)


@dataclass(slots=True)
class Rows:
    """The rows still computed, and which answers they belong to."""

    cache: Any
    mask: torch.Tensor
    positions: torch.Tensor
    logits: torch.Tensor
    keys: list[bytes]
    origin: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.origin = list(range(len(self.keys)))

    def keep(self, rows: list[int]) -> torch.Tensor:
        """Drop all rows but these."""
        index = torch.tensor(rows)
        self.cache = copy_rows(self.cache, index, self.cache.layers[0].capacity)
        self.mask, self.positions = self.mask[index], self.positions[index]
        self.keys = [self.keys[i] for i in rows]
        self.origin = [self.origin[i] for i in rows]
        return index

    def advance(self, model: Any, tokens: torch.Tensor) -> None:
        """Compute the logits after one more token a row."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        self.logits = forward(model, tokens[:, None], self.positions[:, None], self.mask, self.cache)
        self.positions = self.positions + 1


def forward(model: Any, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
    """Extend the cache by `ids` (rows, tokens) and return the logits after the last one (rows, vocabulary)."""
    output = model(
        **{_cache_keyword(type(model).forward): cache},
        input_ids=ids,
        position_ids=positions,
        attention_mask=None if bool(mask.all()) else mask,
        use_cache=True,
        logits_to_keep=torch.tensor(
            [-1]
        ),  # as an index it copies: the head multiplies a plain matrix, ten times faster
    )
    logits: torch.Tensor = output.logits[:, -1].float()
    return logits


@once
def _cache_keyword(method: Callable[..., Any]) -> str:
    """What a model's `forward` calls the cache: transformers 5.24 renamed it and warns of the old name."""
    return "cache" if "cache" in signature(method).parameters else "past_key_values"
