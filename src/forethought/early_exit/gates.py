"""Gates fitted on a model that no longer changes: the probability that an exit's token is full depth's (CALM)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from forethought.early_exit.base import Report, silent
from forethought.early_exit.heads import LinearGate, MLPGate, normalised
from forethought.early_exit.model import ExitModel
from forethought.early_exit.passage import Answers, PrefixReader, run
from forethought.early_exit.traces import Trace, with_passes
from forethought.errors import ConfigError

_BATCH = 64
"""Answers read at once."""


@dataclass(frozen=True)
class GateFitConfig:
    """Settings of the fit.

    Attributes:
        epochs: Over the recorded states.
        batch: Passes a step of Adam.
        rate: Peak learning rate.
        decay: Of the weights.
        seed: Of the order.
    """

    epochs: int = 12
    batch: int = 512
    rate: float = 2e-3
    decay: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not self.rate > 0:
            raise ConfigError(
                f"epochs and batch must be >= 1 and rate > 0, got {self.epochs}, {self.batch}, {self.rate}"
            )


@dataclass(frozen=True)
class Looks:
    """States at every exit and what is true of them.

    Attributes:
        states: h_l, (K, passes, width).
        agrees: Whether the exit's likeliest token is the unmodified model's, bool, (K, passes).
    """

    states: torch.Tensor
    agrees: torch.Tensor


@torch.no_grad()
def look(model: ExitModel, traces: Sequence[Trace], report: Report = silent) -> Looks:
    """Pass recorded answers through the adapted model at full depth and compare every exit with the unmodified model.

    Raises:
        DataError: No trace has two tokens.
    """
    useful = with_passes(traces)
    reader = PrefixReader(model)
    states, agrees = [], []
    for first in range(0, len(useful), _BATCH):
        part = useful[first : first + _BATCH]
        answers = Answers.of([trace.prompt for trace in part], [trace.tokens for trace in part])
        prefix = reader.read(answers)
        exits = run(model.student, prefix, answers, model.config.layers).exits[:, answers.passes]
        full = run(model.teacher, prefix, answers, ()).final[answers.passes]
        wanted = model.teacher.logits(full).argmax(dim=-1)
        read = [model.student.logits(model.heads.mapped(k, hidden)).argmax(dim=-1) for k, hidden in enumerate(exits)]
        states.append(exits)
        agrees.append(torch.stack(read) == wanted)
        report(first + len(part), len(useful))
    return Looks(torch.cat(states, dim=1), torch.cat(agrees, dim=1))


def fit_gates(model: ExitModel, looks: Looks, config: GateFitConfig | None = None) -> list[float]:
    """Fit every gate by logistic regression on whether its exit agrees; adapters and maps stay.

    Weights are not balanced by class, as CALM's are, so that a gate's probability is a probability.

    Args:
        model: Whose gates are fitted in place, on from their present weights.
        looks: From `look`.
        config: Settings.

    Returns:
        Mean loss of the last epoch at each exit.
    """
    config = config or GateFitConfig()
    return [
        _fit(gate, states, agrees.float(), config)  # type: ignore[arg-type]
        for gate, states, agrees in zip(model.heads.gates, looks.states, looks.agrees, strict=True)
    ]


def _fit(gate: LinearGate | MLPGate, states: torch.Tensor, agrees: torch.Tensor, config: GateFitConfig) -> float:
    inputs = normalised(states)
    adam = torch.optim.AdamW(gate.parameters(), lr=config.rate, weight_decay=config.decay)
    steps = config.epochs * -(-len(inputs) // config.batch)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    generator = torch.Generator().manual_seed(config.seed)
    losses: list[float] = []
    for _ in range(config.epochs):
        losses = []
        for part in torch.split(torch.randperm(len(inputs), generator=generator), config.batch):
            loss = functional.binary_cross_entropy_with_logits(gate(inputs[part]), agrees[part])
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            cosine.step()
            losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


@torch.no_grad()
def sharpen(model: ExitModel, threshold: float, factor: float) -> None:
    """Turn every gate's logit z into factor (z - logit(threshold)): what left above the threshold leaves above 1/2.

    Calibrated probabilities make poor coins: six exits that are each right nine times in ten, tossed one after the
    other, stop nearly every token at the first. Rollouts of sharpened gates explore around the rule that is served.

    Args:
        model: Whose gates are changed.
        threshold: In (0, 1).
        factor: > 0; the larger, the nearer a draw is to the threshold rule.

    Raises:
        ConfigError: Outside these ranges.
    """
    if not (0 < threshold < 1 and factor > 0):
        raise ConfigError(f"threshold must lie in (0, 1) and factor be > 0, got {threshold} and {factor}")
    shift = math.log(threshold / (1 - threshold))
    for gate in model.heads.gates:
        out = gate.out
        out.weight.mul_(factor)  # type: ignore[union-attr,operator]
        out.bias.sub_(shift).mul_(factor)  # type: ignore[union-attr,operator]
