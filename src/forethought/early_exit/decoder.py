"""Generation that stops computing a token's layers once a rule says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.base import CachePolicy, ExitAnswer, ExitRule, Look
from forethought.early_exit.cache import RowsCache
from forethought.early_exit.cache_policies import LeaveEmpty, Propagate
from forethought.early_exit.frame import Frame, left_padded
from forethought.early_exit.meter import Meter
from forethought.early_exit.model import ExitModel
from forethought.errors import ConfigError, DataError
from forethought.targets.generation import Generator, Prompt
from forethought.targets.sampling import choose_tokens

_DROP_SHARE = 1 / 4
"""Finished rows are dropped once they are this share: dropping copies the cache."""


class ExitDecoder:
    """Generates answers; every token may stop at an exit, each row of a batch at its own.

    Args:
        model: Model with exits.
        rule: Who leaves where.
        policy: Temperature, nucleus and longest answer.
        stops: Whether a token ends an answer; by default the model's end tokens.
        cache_policy: What becomes of skipped keys and values; by default they are filled from the frozen state.

    Attributes:
        meter: What was computed since the decoder was made, or since `meter` was last replaced.

    Raises:
        ConfigError: Skipped keys and values are left empty, and the rule lets a later token go deeper.
    """

    def __init__(
        self,
        model: ExitModel,
        rule: ExitRule,
        policy: DecodingPolicy,
        *,
        stops: Callable[[int], bool] | None = None,
        cache_policy: CachePolicy | None = None,
    ) -> None:
        if isinstance(cache_policy, LeaveEmpty) and not getattr(rule, "monotone", False):
            raise ConfigError(
                f"LeaveEmpty needs a rule that is monotone (Never, StaticCut, MonotoneSchedule), got {rule.name!r}: "
                "a later token would read keys that nobody wrote"
            )
        self.model = model
        self.rule = rule
        self.policy = policy
        self.stops = stops or model.base.eos.__contains__
        self.cache_policy = cache_policy or Propagate(model.student)
        self.meter = Meter()
        self._generator = Generator(model.base, policy, self.stops)

    @torch.no_grad()
    def generate(self, prompts: Sequence[Prompt], rows: Sequence[int], keys: Sequence[bytes]) -> list[ExitAnswer]:
        """Answer `prompts[rows[i]]` with the random stream `keys[i]`, for every i.

        Args:
            prompts: Distinct prompts; each is read by the unmodified model, the prefix that all share once.
            rows: For each answer, the index of its prompt.
            keys: For each answer, the key of its random stream.

        Raises:
            DataError: A prompt and the longest answer exceed the model's window.
        """
        if not rows:
            return []
        if self.cache_policy.single:
            return [self._batch([prompts[row]], [0], [key])[0] for row, key in zip(rows, keys, strict=True)]
        return self._batch(prompts, rows, keys)

    @torch.no_grad()
    def stream(self, prompt: Prompt, key: bytes) -> Iterator[tuple[int, int]]:
        """Answer one prompt token by token: pairs of token id and the depth that predicted it.

        Raises:
            DataError: As in `generate`.
        """
        running = self._start([prompt], [0], [key])
        for step in range(self.policy.max_tokens):
            tokens = self._choose(running, step)
            yield running.answers[0].tokens[-1], running.answers[0].depths[-1]
            if running.answers[0].finish == "stop" or step + 1 == self.policy.max_tokens:
                return
            self._advance(running, tokens, step + 1)

    def _batch(self, prompts: Sequence[Prompt], rows: Sequence[int], keys: Sequence[bytes]) -> list[ExitAnswer]:
        running = self._start(prompts, rows, keys)
        answers = list(running.answers)
        for step in range(self.policy.max_tokens):
            tokens = self._choose(running, step)
            going = [i for i, answer in enumerate(running.answers) if answer.finish != "stop"]
            if not going or step + 1 == self.policy.max_tokens:
                break
            if len(running.answers) - len(going) >= max(1.0, _DROP_SHARE * len(running.answers)):
                index = torch.tensor(going)
                running.keep(index)
                tokens = tokens[index]
            self._advance(running, tokens, step + 1)
        return answers

    def _start(self, prompts: Sequence[Prompt], rows: Sequence[int], keys: Sequence[bytes]) -> _Running:
        check_room(self.model, prompts, self.policy.max_tokens)
        readable = left_padded(prompts, self.model.teacher.window, self.policy.max_tokens)
        with torch.inference_mode(False):
            logits, cache, mask = self._generator.prefill(readable)
        for prompt in prompts:
            self.meter.prompt(self.model.teacher, len(prompt.ids))
        index = torch.tensor(rows)
        length = mask.shape[1]
        return _Running(
            answers=[ExitAnswer([], []) for _ in rows],
            keys=list(keys),
            logits=logits[index],
            depths=torch.full((len(rows),), self.model.n_layers),
            cache=RowsCache.of(cache, length, index, length + self.policy.max_tokens),
            real=mask[index],
            positions=torch.tensor([len(prompts[row].ids) for row in rows]),
            number=torch.arange(len(rows)),
            cache_policy=self.cache_policy.begin(),
        )

    def _choose(self, running: _Running, step: int) -> torch.Tensor:
        tokens, logprobs = choose_tokens(running.logits, self.policy, running.keys, step)
        chosen = zip(running.answers, tokens.tolist(), logprobs.tolist(), running.depths.tolist(), strict=True)
        for answer, token, logprob, depth in chosen:
            if answer.finish == "stop":
                continue
            answer.tokens.append(token)
            answer.depths.append(depth)
            answer.logprob += logprob
            if self.stops(token):
                answer.finish = "stop"
        return tokens

    def _advance(self, running: _Running, tokens: torch.Tensor, step: int) -> None:
        """Run one token a row as deep as the rule lets it, and read out what comes next."""
        running.real = torch.cat([running.real, running.real.new_ones(len(tokens), 1)], dim=1)
        hidden = self.model.student.embed(tokens[:, None])
        running.depths, states = _Pass(self, running, step).run(hidden)
        running.positions = running.positions + 1
        running.logits = self.model.student.logits(states)
        self._count(running)

    def _count(self, running: _Running) -> None:
        blocks = self.model.student
        self.meter.full_steps += blocks.n_layers
        for depth, keys in zip(running.depths.tolist(), running.real.sum(dim=1).tolist(), strict=True):
            self.meter.pass_of(blocks, depth, keys)
            self.meter.macs += blocks.head_macs
            if depth < blocks.n_layers:
                self.meter.macs += self.model.heads.map_macs + self.cache_policy.fills * sum(blocks.fill_macs[depth:])


@dataclass(slots=True)
class _Running:
    """A batch of answers while it grows."""

    answers: list[ExitAnswer]
    keys: list[bytes]
    logits: torch.Tensor
    depths: torch.Tensor
    cache: RowsCache
    real: torch.Tensor
    positions: torch.Tensor
    number: torch.Tensor
    cache_policy: CachePolicy

    def keep(self, index: torch.Tensor) -> None:
        """Drop all rows but these."""
        kept = index.tolist()
        self.answers, self.keys = [self.answers[i] for i in kept], [self.keys[i] for i in kept]
        self.logits, self.depths, self.cache = self.logits[index], self.depths[index], self.cache.keep(index)
        self.real, self.positions, self.number = self.real[index], self.positions[index], self.number[index]


class _Pass:
    """One pass of one new token a row."""

    def __init__(self, decoder: ExitDecoder, running: _Running, step: int) -> None:
        self.decoder = decoder
        self.running = running
        self.step = step
        self.frame: Frame | None = None
        self.full = running.cache_policy.forces_full()
        self.rows: torch.Tensor | None = None
        self.exits = {layer: i for i, layer in enumerate(decoder.model.config.layers)}

    def run(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Depths (rows,) and states to read out (rows, width) of the tokens' embeddings (rows, 1, width)."""
        model = self.decoder.model
        depths = torch.full((len(hidden),), model.n_layers)
        states = torch.empty_like(hidden[:, -1])
        before = hidden
        for layer in range(model.n_layers):
            if not self.full and (exit := self.exits.get(layer)) is not None:
                leaving = self._look(exit, layer, hidden[:, -1], before[:, -1])
                if bool(leaving.any()):
                    gone, frozen = self._leave(layer, hidden, leaving)
                    hidden = hidden[~leaving]
                    depths[gone], states[gone] = layer, model.heads.mapped(exit, frozen)
                    if not len(hidden):
                        return depths, states
            before = self.running.cache_policy.enter(layer, hidden)
            hidden = self._layer(layer, before)
        states[self._numbers()] = hidden[:, -1]
        return depths, states

    def _look(self, exit: int, layer: int, hidden: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        rows = self._numbers()
        keys = self.running.keys if self.rows is None else [self.running.keys[i] for i in rows.tolist()]
        look = Look(exit, layer, hidden, before, self.step, keys, self.running.number[rows])
        meter = self.decoder.meter
        meter.macs += len(hidden) * self.decoder.rule.macs
        meter.lost_looks += int((~hidden.isfinite()).any(dim=-1).sum())
        return self.decoder.rule.leaves(look)

    def _leave(self, layer: int, hidden: torch.Tensor, leaving: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Freeze the rows that leave; return their numbers and the states to read out."""
        numbers = self._numbers()
        gone, staying = numbers[leaving], numbers[~leaving]
        everybody = len(gone) == len(self.running.keys)
        frame = self._frame(hidden)
        cache = self.running.cache
        for index in range(layer, self.decoder.model.n_layers):
            cache.select(index, None if everybody else gone, frame.start)
        frozen = hidden[leaving]
        self.running.cache_policy.leave(layer, frozen, frame.of(None if everybody else gone), cache)
        self.rows = staying
        return gone, frozen[:, -1]

    def _layer(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        decoder, blocks = self.decoder, self.decoder.model.student
        frame = self._frame(hidden)
        self.running.cache.select(layer, self.rows, frame.start)
        seen = self.running.real.sum(dim=1)[self._numbers()].repeat_interleave(frame.tokens)
        decoder.meter.layer(blocks, layer, len(seen), seen)
        return blocks.layer(layer, hidden, frame.of(self.rows), self.running.cache.layers)

    def _frame(self, hidden: torch.Tensor) -> Frame:
        """Of all rows, for the newest tokens: as many a row as there are states."""
        tokens = hidden.shape[1]
        if self.frame is None or self.frame.tokens != tokens:
            positions = self.running.positions[:, None] + torch.arange(1 - tokens, 1)
            self.frame = self.decoder.model.student.frame(hidden, positions, self.running.real)
        return self.frame

    def _numbers(self) -> torch.Tensor:
        return torch.arange(len(self.running.keys)) if self.rows is None else self.rows


def check_room(model: ExitModel, prompts: Sequence[Prompt], max_tokens: int) -> None:
    """Raise DataError where a prompt and the longest answer exceed the model's window."""
    longest = max(len(prompt.ids) for prompt in prompts)
    if longest + max_tokens > model.base.context:
        raise DataError(
            f"a prompt of {longest} tokens and an answer of {max_tokens} exceed the window of {model.base.context}; "
            f"allowed are prompts of {model.base.context - max_tokens}"
        )
