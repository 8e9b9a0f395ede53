from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forethought.artifacts import load_artifact, save_artifact
from forethought.errors import ArtifactError, ConfigError
from forethought.models import LanguageModel, load
from forethought.training import FullWeights, Learner, LoraConfig, LowRank

IDS = torch.tensor([[1, 6, 18, 7, 4, 20, 9, 21]])
Make = Callable[..., LanguageModel]


@torch.no_grad()
def logits(model: LanguageModel) -> torch.Tensor:
    found: torch.Tensor = model.model(input_ids=IDS).logits
    return found.clone()


def moved(learner: Learner, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in learner.parameters:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def bits(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.model.named_parameters()}


def step(learner: Learner) -> None:
    """One step of descent on the logits themselves."""
    parameters = [parameter.requires_grad_(True) for parameter in learner.parameters]
    learner.model.model(input_ids=IDS).logits.square().mean().backward()
    torch.optim.SGD(parameters, lr=0.5).step()


@pytest.mark.parametrize("kind", [FullWeights, LowRank])
def test_the_reference_is_the_start_and_what_was_learnt_comes_back(make: Make, kind: Any) -> None:
    model = make()
    start = logits(model)
    learner: Learner = kind(model)
    assert torch.equal(logits(learner.model), start)  # adapters are zero at first
    moved(learner)
    now = logits(learner.model)
    assert not torch.allclose(now, start, atol=1e-2)
    with learner.as_reference():
        assert torch.equal(logits(learner.model), start)
    assert torch.equal(logits(learner.model), now)
    with pytest.raises(KeyboardInterrupt), learner.as_reference():
        raise KeyboardInterrupt
    assert torch.equal(logits(learner.model), now)


@pytest.mark.parametrize("kind", [FullWeights, LowRank])
def test_a_reference_in_between_does_not_stop_learning(make: Make, kind: Any) -> None:
    """The same parameters are trained after it, by the same optimiser, to the same weights."""
    learners = [kind(make()), kind(make())]
    for learner in learners:
        moved(learner)
        step(learner)
    with learners[0].as_reference():
        logits(learners[0].model)
    for learner in learners:
        learner.model.model.zero_grad(set_to_none=True)
        step(learner)
    assert all(torch.equal(a, b) for a, b in zip(learners[0].parameters, learners[1].parameters, strict=True))
    assert torch.equal(logits(learners[0].model), logits(learners[1].model))


# --- all weights ----------------------------------------------------------------------------------


def test_the_given_model_stays_as_it_is(make: Make) -> None:
    model = make()
    before = bits(model)
    learner = FullWeights(model)
    assert len(learner.parameters) == len(before)
    moved(learner)
    step(learner)
    after = bits(model)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert learner.model.weights == model.weights
    assert not any(parameter.requires_grad for parameter in model.model.parameters())


def test_all_weights_are_saved_as_a_model(make: Make, tmp_path: Path) -> None:
    learner = FullWeights(make())
    moved(learner)
    learner.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert torch.equal(logits(again), logits(learner.model))
    assert again.context == 256
    text = "[TRIAL] 25 [/TRIAL]\n"
    assert again.tokenizer(text)["input_ids"] == learner.model.tokenizer(text)["input_ids"]


def test_all_weights_need_full_precision(make: Make) -> None:
    model = make()
    half = LanguageModel("half", model.model.bfloat16(), model.tokenizer)
    with pytest.raises(ConfigError, match="needs float32, got bfloat16"):
        FullWeights(half)


# --- adapters -------------------------------------------------------------------------------------


def test_only_adapters_move(make: Make) -> None:
    model = make()
    before = bits(model)
    learner = LowRank(model, LoraConfig(rank=2))
    assert len(learner.parameters) == 2 * 7 * 2  # two maps of each of seven in two blocks
    assert {min(parameter.shape) for parameter in learner.parameters} == {2}
    own = [parameter.detach().clone() for parameter in learner.parameters]
    step(learner)
    after = {name.replace(".base_layer", ""): tensor for name, tensor in bits(learner.model).items()}
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(not torch.equal(a, b) for a, b in zip(own, learner.parameters, strict=True))


def test_named_maps_scale_and_seed(make: Make) -> None:
    few = LowRank(make(), LoraConfig(rank=2, modules=("q_proj",)))
    assert len(few.parameters) == 4
    first, again, other = (LowRank(make(), LoraConfig(seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters, again.parameters, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters, other.parameters, strict=True))
    weak, strong = (LowRank(make(), LoraConfig(rank=2, alpha=alpha)) for alpha in (1e-4, 16.0))
    for learner in (weak, strong):
        moved(learner)
    start = logits(make())
    assert (logits(weak.model) - start).abs().max() < 1e-2 < (logits(strong.model) - start).abs().max()


def test_the_global_state_is_left_alone(make: Make) -> None:
    model = make()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    LowRank(model)
    assert torch.equal(torch.rand(3), expected)


def test_adapters_are_saved_and_loaded(make: Make, tmp_path: Path) -> None:
    config = LoraConfig(rank=3, alpha=5.0, modules=("q_proj", "down_proj"), seed=4)
    learner = LowRank(make(), config)
    moved(learner)
    learner.save(tmp_path / "adapters")
    again = LowRank.load(tmp_path / "adapters", make())
    assert again.config == config
    assert torch.equal(logits(again.model), logits(learner.model))
    moved(again)
    assert not torch.equal(logits(again.model), logits(learner.model))
    with again.as_reference():
        assert torch.equal(logits(again.model), logits(learner.model)), "what was loaded, not the bare model"
    assert sum(file.stat().st_size for file in (tmp_path / "adapters").iterdir()) < 20_000


def renamed(model: LanguageModel, weights: str) -> LanguageModel:
    return LanguageModel(model.name, model.model, model.tokenizer, weights=weights)


def test_adapters_of_other_weights_are_refused(make: Make, tmp_path: Path) -> None:
    LowRank(renamed(make(), "a" * 16)).save(tmp_path / "adapters")
    with pytest.raises(ArtifactError, match="are of weights aaaaaaaaaaaaaaaa, not of bbbbbbbbbbbbbbbb"):
        LowRank.load(tmp_path / "adapters", renamed(make(), "b" * 16))


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


def _forge(file: Path) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), "model": "another"}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [("tensors.safetensors", _flip), ("tensors.safetensors", Path.unlink), ("manifest.json", _forge),
     ("manifest.json", Path.unlink)],
)  # fmt: skip
def test_damaged_adapters_are_refused(make: Make, tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    LowRank(make()).save(tmp_path / "adapters")
    damage(tmp_path / "adapters" / name)
    with pytest.raises(ArtifactError, match="adapters"):
        LowRank.load(tmp_path / "adapters", make())


def test_another_artifact_and_adapters_of_another_shape_are_refused(make: Make, tmp_path: Path) -> None:
    save_artifact(tmp_path / "other", {"kind": "training"}, {"a": np.zeros(2)})
    with pytest.raises(ArtifactError, match="holds 'training', not 'budget-adapters'"):
        LowRank.load(tmp_path / "other", make())
    LowRank(make(layers=3)).save(tmp_path / "deep")
    with pytest.raises(ArtifactError, match="do not fit small-decoder: 14 differ"):
        LowRank.load(tmp_path / "deep", make(layers=2))
    with pytest.raises(ArtifactError, match="do not fit"):
        LowRank.load(tmp_path / "deep", make(layers=4))
    kept, arrays, _ = load_artifact(tmp_path / "deep")
    assert kept["config"]["rank"] == 8
    assert len(arrays) == 42


@pytest.mark.parametrize("changes", [{"rank": 0}, {"alpha": 0.0}, {"alpha": float("nan")}, {"modules": ()}])
def test_a_configuration_that_adapts_nothing_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="rank must be >= 1, alpha > 0 and some module named"):
        LoraConfig(**changes)
