"""Drafts from the layers below an exit, checked by the layers above it: greedy decoding in fewer steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from forethought.core import DecodingPolicy
from forethought.early_exit.base import ExitAnswer, ExitRule, Look
from forethought.early_exit.blocks import Blocks
from forethought.early_exit.cache import RowsCache
from forethought.early_exit.decoder import check_room
from forethought.early_exit.meter import Meter
from forethought.early_exit.model import ExitModel
from forethought.errors import ConfigError
from forethought.targets.generation import Generator, Prompt


@dataclass(frozen=True)
class Drafting:
    """How drafts are made.

    Attributes:
        layer: E, of the exit that drafts: layers 0 to E - 1 ran.
        length: d, most tokens drafted before they are checked.
        rule: Drafting goes on while this would let the token leave at the exit; None is always.
    """

    layer: int
    length: int
    rule: ExitRule | None = None

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ConfigError(f"a draft needs a length >= 1, got {self.length}")


@dataclass(slots=True)
class SpeculationMeter(Meter):
    """Counts of speculative decoding; layers, steps and macs include those of drafts that were refused.

    `passes` and what full depth would have taken count the tokens that were kept: that is what plain decoding passes.

    Attributes:
        drafted: Tokens drafted.
        accepted: Drafted tokens that the whole model would have chosen too.
        rounds: Checks: a batch of the upper layers each.
    """

    drafted: int = 0
    accepted: int = 0
    rounds: int = 0

    @property
    def acceptance(self) -> float:
        """Share of the drafted tokens that were accepted; NaN without any."""
        return self.accepted / self.drafted if self.drafted else float("nan")

    @property
    def steps_saved(self) -> float:
        """Share of plain decoding's layer calls, one after the other, that was spared; NaN without passes."""
        return 1 - self.steps / self.full_steps if self.full_steps else float("nan")


class SpeculativeDecoder:
    """Greedy answers of the unmodified model, drafted by its own lower layers (LayerSkip, 2404.16710).

    The layers below the exit run token by token, and the exit's map, the final norm and the head draft what comes
    next. The layers above then run once for all states of the draft, and the longest part of it that the whole
    model agrees with is kept, with the whole model's own token after it. Both share one cache, and no layer runs
    twice for a token that is kept. A token's keys and values are those of plain decoding up to rounding.

    Args:
        model: Model with exits; its adapters are not used.
        policy: Longest answer; temperature 0.
        drafting: How drafts are made.
        stops: Whether a token ends an answer; by default the model's end tokens.

    Attributes:
        meter: What was computed since the decoder was made, or since `meter` was last replaced.

    Raises:
        ConfigError: A temperature above 0, or a layer without an exit.
    """

    def __init__(
        self,
        model: ExitModel,
        policy: DecodingPolicy,
        drafting: Drafting,
        *,
        stops: Callable[[int], bool] | None = None,
    ) -> None:
        if policy.temperature != 0:
            raise ConfigError(f"speculative decoding is greedy: temperature must be 0, got {policy.temperature}")
        if drafting.layer not in model.config.layers:
            raise ConfigError(f"no exit before layer {drafting.layer}: there are {list(model.config.layers)}")
        self.model = model
        self.policy = policy
        self.drafting = drafting
        self.stops = stops or model.base.eos.__contains__
        self.meter = SpeculationMeter()
        self._exit = model.config.layers.index(drafting.layer)
        self._generator = Generator(model.base, policy, self.stops)

    def generate(self, prompts: Sequence[Prompt], rows: Sequence[int], keys: Sequence[bytes]) -> list[ExitAnswer]:
        """Answer `prompts[rows[i]]`, for every i, one after the other.

        Args:
            prompts: What is read, by the unmodified model.
            rows: For each answer, the index of its prompt.
            keys: For each answer, the key of its random stream, for a drafting rule that draws.

        Raises:
            DataError: A prompt and the longest answer exceed the model's window.
        """
        answers = []
        for row, key in zip(rows, keys, strict=True):
            answer = ExitAnswer([], [])
            for _ in self._grow(answer, prompts[row], key):
                pass
            answers.append(answer)
        return answers

    def stream(self, prompt: Prompt, key: bytes) -> Iterator[tuple[int, int]]:
        """Answer one prompt, as many tokens at a time as are accepted: pairs of token id and depth.

        Raises:
            DataError: As in `generate`.
        """
        answer, told = ExitAnswer([], []), 0
        for _ in self._grow(answer, prompt, key):
            yield from zip(answer.tokens[told:], answer.depths[told:], strict=True)
            told = len(answer.tokens)

    @torch.no_grad()
    def _grow(self, answer: ExitAnswer, prompt: Prompt, key: bytes) -> Iterator[None]:
        """Lengthen an answer, round by round."""
        line, logits = self._read(prompt, key)
        self._take(answer, logits, [int(logits.argmax())])
        yield
        while answer.finish != "stop" and len(answer.tokens) < self.policy.max_tokens:
            room = self.policy.max_tokens - len(answer.tokens)
            draft = self._draft(line, answer.tokens[-1], len(answer.tokens), min(self.drafting.length, room - 1))
            logits = self._check(line, torch.cat(draft.states, dim=1))
            wanted = logits.argmax(dim=-1).tolist()
            agreed = _agreement(draft.tokens, wanted)
            kept = wanted[: agreed + 1]  # with the token that the whole model wants instead, or after the draft
            self._take(answer, logits, kept)
            self._count(line.place, len(draft.tokens), agreed, len(kept))
            line.place += len(kept)
            yield

    def _read(self, prompt: Prompt, key: bytes) -> tuple[_Line, torch.Tensor]:
        check_room(self.model, [prompt], self.policy.max_tokens)
        with torch.inference_mode(False):
            logits, cache, _ = self._generator.prefill([prompt])
        place = len(prompt.ids)
        self.meter.prompt(self.model.teacher, place)
        grown = RowsCache.of(cache, place, torch.zeros(1, dtype=torch.long), place + self.policy.max_tokens)
        return _Line(self.model.teacher, grown, place, key, self.meter), logits

    def _take(self, answer: ExitAnswer, logits: torch.Tensor, tokens: Sequence[int]) -> None:
        """Append tokens that the whole model chose; row i of the logits chose token i."""
        chosen = torch.log_softmax(logits[: len(tokens)], dim=-1).gather(1, torch.tensor(tokens)[:, None])
        answer.tokens.extend(tokens)
        answer.depths.extend([self.model.n_layers] * len(tokens))
        answer.logprob += float(chosen.sum())
        if self.stops(tokens[-1]):
            answer.finish = "stop"

    def _draft(self, line: _Line, token: int, step: int, most: int) -> _Draft:
        """Run the lower layers from a token on, drafting at most so many."""
        model, blocks = self.model, self.model.teacher
        draft = _Draft()
        while True:
            place = line.place + len(draft.states)
            before, state = line.run(range(self.drafting.layer), blocks.embed(torch.tensor([[token]])), place)
            draft.states.append(state)
            if len(draft.tokens) == most or not self._sure(line, before, state, step + len(draft.tokens)):
                return draft
            self.meter.macs += model.heads.map_macs + blocks.head_macs
            token = int(blocks.logits(model.heads.mapped(self._exit, state[:, -1])).argmax())
            draft.tokens.append(token)
            if self.stops(token):  # what comes after an end is not asked for
                return draft

    def _sure(self, line: _Line, before: torch.Tensor, state: torch.Tensor, step: int) -> bool:
        rule = self.drafting.rule
        if rule is None:
            return True
        self.meter.macs += rule.macs
        self.meter.lost_looks += int(not bool(state.isfinite().all()))
        look = Look(
            self._exit,
            self.drafting.layer,
            state[:, -1],
            before[:, -1],
            step,
            [line.key],
            torch.zeros(1, dtype=torch.long),
        )
        return bool(rule.leaves(look)[0])

    def _check(self, line: _Line, states: torch.Tensor) -> torch.Tensor:
        """Run the upper layers for all states (1, tokens, width) at once: logits (tokens, vocabulary)."""
        blocks = self.model.teacher
        _, final = line.run(range(self.drafting.layer, blocks.n_layers), states, line.place)
        self.meter.macs += states.shape[1] * blocks.head_macs
        return blocks.logits(final)[0]

    def _count(self, place: int, drafted: int, agreed: int, kept: int) -> None:
        meter, blocks = self.meter, self.model.teacher
        meter.rounds += 1
        meter.drafted += drafted
        meter.accepted += agreed
        for passed in range(kept):
            meter.pass_of(blocks, blocks.n_layers, place + passed + 1)
            meter.full_steps += blocks.n_layers


@dataclass(slots=True)
class _Draft:
    """States at the exit, one of each token passed, and what was drafted from them.

    The last state drafts nothing, unless what was drafted last ends the answer.
    """

    states: list[torch.Tensor] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Line:
    """The text so far: its cache is whole up to `place`, and what lies behind is written over."""

    blocks: Blocks
    cache: RowsCache
    place: int
    key: bytes
    meter: Meter

    def run(self, layers: range, hidden: torch.Tensor, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pass tokens that stand from a place on, (1, tokens, width): states before and after the last layer."""
        tokens = hidden.shape[1]
        positions = torch.arange(start, start + tokens)
        real = torch.ones(1, start + tokens, dtype=torch.bool)
        frame = self.blocks.frame(hidden, positions[None], real)
        before = hidden
        for layer in layers:
            self.cache.select(layer, None, start)
            self.meter.layer(self.blocks, layer, tokens, torch.full((tokens,), start + tokens))
            before, hidden = hidden, self.blocks.layer(layer, hidden, frame, self.cache.layers)
        return before, hidden


def _agreement(drafted: Sequence[int], wanted: Sequence[int]) -> int:
    """How many drafted tokens are wanted before the first that is not."""
    same = [one == other for one, other in zip(drafted, wanted, strict=False)]
    return next((place for place, agree in enumerate(same) if not agree), len(same))
