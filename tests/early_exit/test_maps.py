from __future__ import annotations

from typing import Any

import pytest
import torch

from forethought.core import DecodingPolicy
from forethought.early_exit import maps
from forethought.early_exit.heads import ExitMap, normalised
from forethought.early_exit.maps import fit_maps
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.passage import Answers, PrefixReader, run
from forethought.early_exit.task import Task
from forethought.early_exit.traces import Trace, record_traces
from forethought.errors import ConfigError, DataError
from forethought.models import LanguageModel, load
from forethought.questions import arithmetic_questions
from forethought.targets.generation import Prompt

torch.set_num_threads(1)
WIDTH = 8


def drawn(passes: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """States at an exit, and last states that follow from them but for noise."""
    generator = torch.Generator().manual_seed(0)
    states = 3 * torch.randn(passes, WIDTH, generator=generator) + 1
    mixed = states @ torch.randn(WIDTH, WIDTH, generator=generator)
    return states, 20 * (mixed + torch.randn(passes, WIDTH, generator=generator) + 2)


def fitted(rank: int, ridge: float) -> ExitMap:
    target = ExitMap(WIDTH, rank)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.normal_()  # what stood there before must not matter
        maps._fit(target, *drawn(), ridge)
    return target


def plain_ridge(states: torch.Tensor, wanted: torch.Tensor, ridge: float) -> torch.Tensor:
    """Fitted values of ridge regression on h / rms(h) with an unpenalised intercept, by augmented least squares."""
    inputs = normalised(states).double()
    x, y = inputs - inputs.mean(dim=0), (wanted - wanted.mean(dim=0)).double()
    penalty = (ridge * x.square().sum(dim=0).mean()).sqrt() * torch.eye(WIDTH, dtype=torch.float64)
    weights = torch.linalg.lstsq(torch.cat([x, penalty]), torch.cat([y, torch.zeros_like(penalty)])).solution
    return x @ weights + wanted.double().mean(dim=0)


@pytest.mark.parametrize("ridge", [1e-3, 1.0])
@pytest.mark.parametrize("rank", [WIDTH, WIDTH + 3])
def test_at_full_rank_it_is_the_plain_ridge_solution(rank: int, ridge: float) -> None:
    states, final = drawn()
    size = states.square().mean(dim=-1, keepdim=True).sqrt()
    wanted = normalised(final) * size - states
    found = (fitted(rank, ridge)(states) - states).detach()
    assert torch.allclose(found.double(), plain_ridge(states, wanted, ridge), atol=1e-3)


def test_a_map_of_lower_rank_is_the_nearest_of_that_rank_to_the_full_fit() -> None:
    """Eckart and Young: what the full fit's values lose is the sum of the squared singular values left out."""
    states, _ = drawn()
    full, errors = (fitted(WIDTH, 0.1)(states) - states).detach(), []
    centred = full - full.mean(dim=0)
    singular = torch.linalg.svdvals(centred)
    for rank in range(1, WIDTH):
        low = (fitted(rank, 0.1)(states) - states).detach()
        assert torch.linalg.matrix_rank(low - low.mean(dim=0), rtol=1e-4) == rank
        errors.append(float((low - full).square().sum()))
        assert errors[-1] == pytest.approx(float(singular[rank:].square().sum()), rel=1e-2, abs=1e-2)
    assert errors == sorted(errors, reverse=True)


def test_a_large_ridge_leaves_the_mean(base: LanguageModel) -> None:
    states, final = drawn()
    size = states.square().mean(dim=-1, keepdim=True).sqrt()
    wanted = (normalised(final) * size - states).mean(dim=0)
    found = (fitted(3, 1e9)(states) - states).detach()
    assert torch.allclose(found, wanted.expand_as(found), atol=1e-3)


@pytest.fixture(scope="module")
def small() -> LanguageModel:
    return load("arithmetic-small")


def traces_of(small: LanguageModel, folder: Any, part: Any) -> list[Trace]:
    task = Task(small, DecodingPolicy(max_tokens=24), arithmetic_questions(part, 40, seed=0, levels=(1, 2)))
    return record_traces(task, folder, samples=1, temperature=0.0)


@torch.no_grad()
def distances(model: ExitModel, traces: list[Trace]) -> list[float]:
    """Mean squared distance of what every exit reads out to the last state, each at unit size."""
    answers = Answers.of([trace.prompt for trace in traces], [trace.tokens for trace in traces])
    passage = run(model.teacher, PrefixReader(model).read(answers), answers, model.config.layers)
    final = normalised(passage.final[answers.passes])
    read = [normalised(model.heads.mapped(k, states[answers.passes])) for k, states in enumerate(passage.exits)]
    return [float((states - final).square().mean()) for states in read]


def test_maps_bring_exits_nearer_to_the_last_state(small: LanguageModel, tmp_path: Any) -> None:
    """On answers to questions that were not fitted.

    Nearer in squares, which are what is fitted: on this decoder the divergence from full depth grows all the same.
    """
    model = ExitModel(small, ExitConfig((1, 2, 3, 4, 5), map_rank=16))
    adapters = {name: tensor.clone() for name, tensor in model.adapters.state().items()}
    held_out = traces_of(small, tmp_path, "validation")
    raw = distances(model, held_out)
    fit_maps(model, traces_of(small, tmp_path, "train"), ridge=0.1)
    mapped = distances(model, held_out)
    assert all(after < 0.95 * before for before, after in zip(raw, mapped, strict=True))
    assert all(torch.equal(tensor, adapters[name]) for name, tensor in model.adapters.state().items())


def test_maps_are_fitted_again_from_nothing(base: LanguageModel, prompts: list[Prompt]) -> None:
    traces = [Trace(i, prompt, list(range(40, 60))) for i, prompt in enumerate(prompts)]
    found = []
    for noise in (0.0, 1.0):
        model = ExitModel(base, ExitConfig((1, 3), map_rank=4))
        with torch.no_grad():
            for parameter in model.heads.maps.parameters():
                parameter.add_(noise)
        fit_maps(model, traces)
        found.append(torch.cat([tensor.flatten() for tensor in model.heads.maps.state_dict().values()]))
    assert torch.equal(*found)


def test_a_model_without_maps(base: LanguageModel, prompts: list[Prompt]) -> None:
    with pytest.raises(ConfigError, match="no exit maps to fit: give it a map_rank >= 1"):
        fit_maps(ExitModel(base, ExitConfig((1,))), [Trace(0, prompts[0], [1, 2])])


def test_nothing_to_learn_from(base: LanguageModel, prompts: list[Prompt]) -> None:
    with pytest.raises(DataError, match="none of 1 traces has two tokens"):
        fit_maps(ExitModel(base, ExitConfig((1,), map_rank=2)), [Trace(0, prompts[0], [1])])
