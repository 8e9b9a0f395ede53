"""Exit maps in closed form: where the last layer would have led, by reduced-rank ridge regression."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from forethought.early_exit.base import Report, silent
from forethought.early_exit.heads import ExitMap, normalised
from forethought.early_exit.model import ExitModel
from forethought.early_exit.passage import Answers, PrefixReader, run
from forethought.early_exit.traces import Trace, with_passes
from forethought.errors import ConfigError

_BATCH = 64
"""Answers read at once."""


@torch.no_grad()
def fit_maps(model: ExitModel, traces: Sequence[Trace], *, ridge: float = 1.0, report: Report = silent) -> None:
    """Fit every exit's map on the unmodified model's states, so that training need not begin at the raw lens.

    The target is h_L scaled to the size of h_l: the final norm takes its size away, and a map that had to learn the
    growth of the residual stream would spend its rank on it. Least squares of a matrix of rank r is the full ridge
    solution projected on the r first principal directions of its fitted values (reduced-rank regression).

    Args:
        model: With maps.
        traces: Recorded answers.
        ridge: Penalty, in units of the mean variance of a state's dimension.
        report: Called after each batch.

    Raises:
        ConfigError: The model has no maps.
        DataError: No trace has two tokens.
    """
    if not model.heads.maps:
        raise ConfigError("the model has no exit maps to fit: give it a map_rank >= 1")
    exits, final = _states(model, traces, report)
    for place, states in enumerate(exits):
        _fit(model.heads.maps[place], states, final, ridge)  # type: ignore[arg-type]


def _states(model: ExitModel, traces: Sequence[Trace], report: Report) -> tuple[torch.Tensor, torch.Tensor]:
    """h_l, (K, passes, width), and h_L, (passes, width), of the unmodified model."""
    useful = with_passes(traces)
    reader = PrefixReader(model)
    exits, finals = [], []
    for first in range(0, len(useful), _BATCH):
        part = useful[first : first + _BATCH]
        answers = Answers.of([trace.prompt for trace in part], [trace.tokens for trace in part])
        passage = run(model.teacher, reader.read(answers), answers, model.config.layers)
        exits.append(passage.exits[:, answers.passes])
        finals.append(passage.final[answers.passes])
        report(first + len(part), len(useful))
    return torch.cat(exits, dim=1), torch.cat(finals)


def _fit(target: ExitMap, states: torch.Tensor, final: torch.Tensor, ridge: float) -> None:
    inputs = normalised(states).double()
    size = states.square().mean(dim=-1, keepdim=True).sqrt()
    wanted = (normalised(final) * size - states).double()
    bias_in, bias_out = inputs.mean(dim=0), wanted.mean(dim=0)
    x, y = inputs - bias_in, wanted - bias_out
    gram = x.T @ x
    gram.diagonal().add_(ridge * gram.diagonal().mean())
    weights = torch.linalg.solve(gram, x.T @ y)
    rank = min(target.down.out_features, len(weights))
    fitted = x @ weights
    _, directions = torch.linalg.eigh(fitted.T @ fitted)
    chosen = directions[:, -rank:]
    target.down.weight.zero_()  # what a rank above the width leaves over
    target.up.weight.zero_()
    target.down.weight[:rank] = (weights @ chosen).T
    target.up.weight[:, :rank] = chosen
    target.up.bias.copy_(bias_out - bias_in @ weights @ chosen @ chosen.T)
