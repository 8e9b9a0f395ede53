from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from forethought.early_exit.gates import GateFitConfig, Looks, fit_gates, look, sharpen
from forethought.early_exit.heads import normalised
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.traces import Trace
from forethought.errors import ConfigError, DataError
from forethought.models import LanguageModel
from forethought.targets.generation import Prompt

torch.set_num_threads(1)
QUICK = GateFitConfig(epochs=30, batch=100, rate=3e-2)


def traces_of(prompts: list[Prompt]) -> list[Trace]:
    """Answers of different lengths, the last of one token."""
    return [Trace(i, prompt, list(range(10 + i, 16))) for i, prompt in enumerate([*prompts, prompts[0]])]


def states(passes: int = 1000) -> torch.Tensor:
    """Of three exits, growing with depth as residual streams do."""
    drawn = torch.randn(3, passes, 32, generator=torch.Generator().manual_seed(0))
    return drawn * torch.tensor([1.0, 5.0, 50.0])[:, None, None]


def probabilities(model: ExitModel, exit: int, hidden: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(model.heads.gate_logit(exit, hidden)).detach()


@pytest.mark.parametrize("gate", ["linear", "mlp"])
def test_a_separable_label_is_recovered(base: LanguageModel, gate: Any) -> None:
    seen = states()
    normal = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    agrees = torch.einsum("kpw,kw->kp", normalised(seen), normal) > 1.0
    model = ExitModel(base, ExitConfig((1, 2, 3), gate=gate))
    losses = fit_gates(model, Looks(seen[:, :800], agrees[:, :800]), QUICK)
    assert len(losses) == 3
    for exit in range(3):
        found = probabilities(model, exit, seen[exit, 800:]) > 0.5
        assert (found == agrees[exit, 800:]).float().mean() > 0.93, "on states that were not fitted"
        assert losses[exit] < 0.2


def test_a_gates_probability_is_a_probability(base: LanguageModel) -> None:
    """Labels drawn from a known logistic model: no class weight bends the fit, and its mean is the base rate."""
    seen = states(4000)
    truth = torch.sigmoid(1.2 * normalised(seen)[..., 0] - 1.5)
    agrees = torch.rand(truth.shape, generator=torch.Generator().manual_seed(2)) < truth
    model = ExitModel(base, ExitConfig((1, 2, 3)))
    fit_gates(model, Looks(seen, agrees), GateFitConfig(epochs=20, batch=250, rate=3e-2))
    for exit in range(3):
        found = probabilities(model, exit, seen[exit])
        assert float(found.mean()) == pytest.approx(float(agrees[exit].float().mean()), abs=0.02)
        assert float((found - truth[exit]).abs().mean()) < 0.05


def test_gates_alone_change_and_by_seed_alike(base: LanguageModel, exits: Callable[..., ExitModel]) -> None:
    looks = Looks(states(), states().sum(dim=-1) > 0)

    def fitted(seed: int) -> dict[str, torch.Tensor]:
        model = exits(base)
        before = {name: tensor.clone() for name, tensor in model.state().items()}
        fit_gates(model, looks, GateFitConfig(epochs=2, seed=seed))
        after = model.state()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed == {name for name in before if name.startswith("heads.gates.")}
        return {name: after[name] for name in changed}

    first, again, other = fitted(0), fitted(0), fitted(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_loss_reported_is_that_of_the_last_epoch(base: LanguageModel) -> None:
    """With a rate that moves nothing it is log 2."""
    looks = Looks(states(), states().sum(dim=-1) > 0)
    losses = fit_gates(ExitModel(base, ExitConfig((1, 2, 3))), looks, GateFitConfig(epochs=1, rate=1e-12))
    assert losses == pytest.approx([torch.tensor(2.0).log().item()] * 3, abs=1e-5)


@torch.no_grad()
def test_a_look_says_what_a_plain_forward_pass_says(
    base: LanguageModel, exits: Callable[..., ExitModel], prompts: list[Prompt]
) -> None:
    """States and agreement of every pass, in the order of the traces, from transformers' hidden states."""
    model, traces = exits(base), traces_of(prompts)
    for parameter in model.adapters.parameters():
        parameter.zero_()
    calls: list[tuple[int, int]] = []
    looks = look(model, traces, lambda done, total, text="": calls.append((done, total)))
    decoder, first = base.model, 0
    for trace in traces[:-1]:
        passes = len(trace.tokens) - 1
        if not passes:
            continue
        ids = torch.tensor([[*trace.prompt.ids, *trace.tokens[:-1]]])
        found = decoder(ids, output_hidden_states=True)
        wanted = found.logits[0, -passes:].argmax(dim=-1)
        for exit, layer in enumerate(model.config.layers):
            hidden = found.hidden_states[layer][0, -passes:]
            assert torch.allclose(looks.states[exit, first : first + passes], hidden, atol=1e-4)
            said = decoder.lm_head(decoder.model.norm(model.heads.mapped(exit, hidden))).argmax(dim=-1)
            assert torch.equal(looks.agrees[exit, first : first + passes], said == wanted)
        first += passes
    assert looks.agrees.shape == (3, first)
    assert calls[-1] == (5, 5)


def test_a_look_goes_through_the_adapted_model(model: ExitModel, base: LanguageModel, prompts: list[Prompt]) -> None:
    """And compares it with the unmodified one."""
    plain = ExitModel(base, model.config)
    adapted, unadapted = look(model, traces_of(prompts)), look(plain, traces_of(prompts))
    assert not torch.allclose(adapted.states[1], unadapted.states[1], atol=1e-3)
    assert functional.cosine_similarity(adapted.states[1], unadapted.states[1], dim=-1).mean() > 0.5


def test_nothing_to_look_at(model: ExitModel, prompts: list[Prompt]) -> None:
    with pytest.raises(DataError, match="none of 1 traces has two tokens"):
        look(model, [Trace(0, prompts[0], [3])])


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch": 0}, {"rate": 0.0}, {"rate": float("nan")}])
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="epochs and batch must be >= 1 and rate > 0"):
        GateFitConfig(**wrong)


@pytest.mark.parametrize("gate", ["linear", "mlp"])
def test_sharpened_gates_cross_a_half_where_they_crossed_the_threshold(
    base: LanguageModel, exits: Callable[..., ExitModel], gate: str
) -> None:
    model = exits(base, gate=gate)
    seen = states(200)
    before = torch.stack([model.heads.gate_logit(exit, seen[exit]) for exit in range(3)]).detach()
    sharpen(model, 0.8, 3.0)
    after = torch.stack([model.heads.gate_logit(exit, seen[exit]) for exit in range(3)]).detach()
    assert torch.allclose(after, 3 * (before - torch.tensor(4.0).log()), atol=1e-4)  # .8 is four to one


@pytest.mark.parametrize(("threshold", "factor"), [(0.0, 2.0), (1.0, 2.0), (0.5, 0.0), (float("nan"), 2.0)])
def test_a_threshold_that_has_no_logit_cannot_be_sharpened_around(
    model: ExitModel, threshold: float, factor: float
) -> None:
    with pytest.raises(ConfigError, match=r"threshold must lie in \(0, 1\) and factor be > 0"):
        sharpen(model, threshold, factor)
