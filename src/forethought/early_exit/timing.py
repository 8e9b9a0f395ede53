"""Seconds that exits really save, in one interleaved run against the unmodified model, beside what MACs imply."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from forethought.core import DecodingPolicy
from forethought.early_exit.base import ExitRule
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.free_running import aside_macs, batches, depth_macs, unadapted
from forethought.early_exit.model import ExitModel
from forethought.early_exit.rules import Never
from forethought.errors import ConfigError, DataError
from forethought.metrics import FloatArray, IntArray, Interval, paired_bootstrap
from forethought.targets.generation import Generator, Prompt
from forethought.targets.sampling import sample_key


@dataclass(frozen=True)
class Implied:
    """Shares of generated tokens' multiply-accumulates that a rule spares.

    Attributes:
        rows: Each row counted to its own depth.
        steps: Each row counted to the deepest of its batch's step: a layer that one row needs runs for the batch,
            and takes about as long for one row as for all. Equal to `rows` in batches of one.
        mean_depth: Layers a row's pass.
    """

    rows: float
    steps: float
    mean_depth: float


@dataclass(frozen=True, eq=False)
class TimedRule:
    """One rule's time beside what it was to take; intervals are over rounds, n of them.

    Attributes:
        seconds: A generated token's pass and row, shape (rounds,).
        implied: By what was computed.
        time_saved: Share of the time that is spared against the unmodified weights in the same decoder.
        time_saved_of_generator: The same against the plain generator of `targets`.
        over_theory: `time_saved` / `implied.steps`; NaN where nothing was to be saved.
    """

    seconds: FloatArray
    implied: Implied
    time_saved: Interval
    time_saved_of_generator: Interval
    over_theory: Interval


@dataclass(frozen=True, eq=False)
class Timing:
    """One interleaved run.

    Attributes:
        prompts: How many.
        tokens: Generated for each, whatever they are.
        batch_size: Rows computed at once.
        unmodified: Seconds a pass and row of the unmodified weights in the same decoder, shape (rounds,).
        generator: Of the plain generator, shape (rounds,).
        rules: Name -> its times.
    """

    prompts: int
    tokens: int
    batch_size: int
    unmodified: FloatArray
    generator: FloatArray
    rules: Mapping[str, TimedRule]


def time_rules(
    model: ExitModel,
    prompts: Sequence[Prompt],
    rules: Mapping[str, ExitRule],
    *,
    tokens: int = 32,
    batch_size: int = 1,
    rounds: int = 5,
) -> Timing:
    """Time the passes of generated tokens, rule by rule in turn on every batch.

    No answer ends before its last token, so all spend the same number of passes. Prompts are read outside the
    clock. The first round warms up and is not counted; each batch starts with another contender than the last.

    Args:
        model: Model with exits.
        prompts: What is read.
        rules: Name -> rule; greedy decoding.
        tokens: Generated for each prompt.
        batch_size: Rows computed at once.
        rounds: Times that everything is run.

    Raises:
        ConfigError: Fewer than two tokens or one round, or tokens that do not fit the window.
        DataError: No prompts.
    """
    _check(model, prompts, tokens, rounds)
    policy = DecodingPolicy(max_tokens=tokens)
    clock = _Clock()
    plain = unadapted(model)
    runners: dict[tuple[str, str], _Runner] = {
        ("full", "generator"): Generator(model.base, policy, clock).generate,
        ("full", "unmodified"): ExitDecoder(plain, Never(), policy, stops=clock).generate,
    }
    for name, rule in rules.items():
        runners["rule", name] = ExitDecoder(model, rule, policy, stops=clock).generate
    parts = list(batches(prompts, batch_size))
    seconds = {key: np.zeros(rounds + 1) for key in runners}
    depths: dict[str, list[IntArray]] = {name: [] for name in rules}
    turn = 0
    for number in range(rounds + 1):
        for part in parts:
            own = [prompts[i] for i in part]
            keys = [sample_key(0, str(i), 0) for i in part]
            for key in _rotated(list(runners), turn):
                answers, spent = clock.time(runners[key], own, keys)
                seconds[key][number] += spent
                if number == 0 and key[0] == "rule":
                    depths[key[1]].append(np.array([answer.depths[1:] for answer in answers]))
            turn += 1
    passes = len(prompts) * (tokens - 1)
    paces = {key: spent[1:] / passes for key, spent in seconds.items()}
    unmodified, generator = paces["full", "unmodified"], paces["full", "generator"]
    lengths = [np.array([len(prompts[i].ids) for i in part]) for part in parts]
    timed = {
        name: _timed(paces["rule", name], unmodified, generator, implied_saving(model, rule, lengths, depths[name]))
        for name, rule in rules.items()
    }
    return Timing(len(prompts), tokens, batch_size, unmodified, generator, timed)


def implied_saving(
    model: ExitModel, rule: ExitRule, prompts: Sequence[IntArray], depths: Sequence[IntArray]
) -> Implied:
    """What the depths of some batches save in multiply-accumulates.

    Args:
        model: Model with exits.
        rule: Which decided the depths.
        prompts: Of each batch, the lengths of its prompts, (rows,).
        depths: Of each batch, layers that ran, (rows, passes).
    """
    blocks = model.student
    rows = steps = full = 0
    for lengths, batch in zip(prompts, depths, strict=True):
        deepest = batch.max(axis=0).tolist()
        for length, row in zip(lengths.tolist(), batch.tolist(), strict=True):
            for step, (depth, most) in enumerate(zip(row, deepest, strict=True), start=1):
                aside = aside_macs(model, rule, depth)
                rows += depth_macs(blocks, depth, length + step) + aside
                steps += depth_macs(blocks, most, length + step) + aside
                full += depth_macs(blocks, model.n_layers, length + step)
    return Implied(1 - rows / full, 1 - steps / full, float(np.concatenate([batch.ravel() for batch in depths]).mean()))


_Runner = Callable[[Sequence[Prompt], Sequence[int], Sequence[bytes]], Sequence[Any]]


class _Clock:
    """An end of answers that never comes, and that notes when the first token of a run was chosen."""

    def __init__(self) -> None:
        self._first: float | None = None

    def __call__(self, token: int) -> bool:
        if self._first is None:
            self._first = perf_counter()
        return False

    def time(self, runner: _Runner, prompts: Sequence[Prompt], keys: Sequence[bytes]) -> tuple[Sequence[Any], float]:
        """Answers, and seconds from the first token to the last: the prompts' pass is over by then."""
        self._first = None
        answers = runner(prompts, range(len(prompts)), keys)
        ended = perf_counter()
        assert self._first is not None, "every answer has a first token"
        return answers, ended - self._first


def _timed(pace: FloatArray, unmodified: FloatArray, generator: FloatArray, implied: Implied) -> TimedRule:
    def shares(rounds: IntArray) -> FloatArray:
        # The median over rounds: a neighbour on the machine slows some of them, and never one of a pair alone.
        saved, of_generator = (float(np.median(1 - pace[rounds] / full[rounds])) for full in (unmodified, generator))
        return np.array([saved, of_generator, saved / implied.steps if implied.steps > 0 else np.nan])

    found = paired_bootstrap(shares, len(pace))
    assert isinstance(found, list), "the statistic is an array"
    return TimedRule(pace, implied, *found)


def _rotated(keys: list[tuple[str, str]], turn: int) -> list[tuple[str, str]]:
    first = turn % len(keys)
    return keys[first:] + keys[:first]


def _check(model: ExitModel, prompts: Sequence[Prompt], tokens: int, rounds: int) -> None:
    if not prompts:
        raise DataError("no prompts to time")
    if tokens < 2 or rounds < 1:
        raise ConfigError(f"need tokens >= 2 and rounds >= 1, got {tokens} and {rounds}")
    longest = max(len(prompt.ids) for prompt in prompts)
    if longest + tokens > model.base.context:
        raise ConfigError(
            f"{tokens} tokens after a prompt of {longest} do not fit a window of {model.base.context} tokens"
        )
