from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from forethought.artifacts import save_artifact
from forethought.core import DecodingPolicy
from forethought.early_exit.confidences import GateConfidence
from forethought.early_exit.decoder import ExitDecoder
from forethought.early_exit.model import ExitConfig, ExitModel, every, exit_index
from forethought.early_exit.rules import Sampled
from forethought.early_exit.saved import SavedExits
from forethought.errors import ArtifactError, ConfigError
from forethought.models import LanguageModel
from forethought.targets.generation import Prompt


def answers(model: ExitModel, prompts: list[Prompt], keys: list[bytes]) -> list[Any]:
    policy = DecodingPolicy(max_tokens=10)
    return ExitDecoder(model, Sampled(GateConfidence(model)), policy).generate(prompts, range(5), keys)


@pytest.mark.parametrize("gate", ["linear", "mlp"])
def test_what_is_saved_decodes_the_same(
    base: LanguageModel, exits: Callable[..., ExitModel], prompts: list[Prompt], keys: list[bytes], tmp_path: Path,
    gate: str,
) -> None:  # fmt: skip
    model = exits(base, (1, 3), gate=gate, adapter_rank=2, adapter_alpha=3.0)
    digest = model.save(tmp_path / "exits", report={"steps": 7})
    loaded = ExitModel.load(tmp_path / "exits", base)
    assert loaded.config == model.config
    assert loaded.depths == (1, 3, 4)
    assert answers(loaded, prompts, keys) == answers(model, prompts, keys)
    assert loaded.save(tmp_path / "again", report={"steps": 7}) == digest


def test_half_the_precision_is_half_the_size(base: LanguageModel, model: ExitModel, tmp_path: Path) -> None:
    model.save(tmp_path / "whole")
    model.save(tmp_path / "half", half=True)
    size = {name: sum(file.stat().st_size for file in (tmp_path / name).iterdir()) for name in ("whole", "half")}
    assert size["half"] < 0.7 * size["whole"]
    loaded = ExitModel.load(tmp_path / "half", base)
    for name, tensor in model.state().items():
        assert torch.allclose(loaded.state()[name], tensor, rtol=1e-3, atol=1e-6)


def test_exits_of_another_model_or_depth_are_refused(
    make: Callable[..., LanguageModel], model: ExitModel, tmp_path: Path
) -> None:
    model.save(tmp_path / "exits")
    with pytest.raises(ArtifactError, match=r"made for tiny-Llama with weights Llama0000000.*has Llama1000000"):
        ExitModel.load(tmp_path / "exits", make(seed=1))
    with pytest.raises(ArtifactError, match="made for 4 layers of width 32; tiny-Llama has 5 of width 32"):
        ExitModel.load(tmp_path / "exits", make(layers=5))


def test_what_is_no_exits_or_was_altered_is_refused(base: LanguageModel, model: ExitModel, tmp_path: Path) -> None:
    save_artifact(tmp_path / "other", {"kind": "probe"}, {"a": torch.zeros(1).numpy()})
    with pytest.raises(ArtifactError, match="holds 'probe', not exits"):
        ExitModel.load(tmp_path / "other", base)
    model.save(tmp_path / "exits")
    manifest = tmp_path / "exits" / "manifest.json"
    changed = json.loads(manifest.read_text())
    changed["config"]["map_rank"] = 5
    manifest.write_text(json.dumps(changed))
    with pytest.raises(ArtifactError):
        ExitModel.load(tmp_path / "exits", base)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"config": {"layers": [1], "colour": "red"}}, "describes no exits that this release knows: .*colour"),
        ({"config": {"layers": [2, 1]}}, "describes no exits that this release knows: exits need rising layers"),
        ({"config": {"layers": 1}}, "describes no exits that this release knows"),
        ({"config": {}}, "describes no exits that this release knows: 'layers'"),
        ({"model": {"name": "tiny", "layers": 4, "width": 32}}, "does not say the weights of the model"),
        ({"model": None}, "describes no exits that this release knows"),
    ],
)
def test_what_describes_no_exits_is_refused_whoever_reads_it(
    base: LanguageModel, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    made_for = {"name": "tiny", "weights": base.weights, "layers": 4, "width": 32}
    manifest = {"kind": "exits", "config": {"layers": [1]}, "model": made_for, **changed}
    save_artifact(tmp_path / "exits", manifest, {"a": torch.zeros(1).numpy()})
    for read in (SavedExits.read, lambda path: ExitModel.load(path, base)):
        with pytest.raises(ArtifactError, match=message):
            read(tmp_path / "exits")


def test_a_state_of_another_shape_is_refused(base: LanguageModel, model: ExitModel, exits: Any) -> None:
    other = exits(base, map_rank=5)
    with pytest.raises(ArtifactError, match=r"exit head 'maps.0.down.weight' has shape \(3, 32\), .* needs \(5, 32\)"):
        other.load_state(model.state())
    with pytest.raises(ArtifactError, match=r"adapter '0.q_proj.down' has shape None"):
        other.load_state({})


@pytest.mark.parametrize("layers", [(), (0, 1), (2, 1), (1, 1), (-1,)])
def test_exits_that_do_not_rise_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="exits need rising layers >= 1"):
        ExitConfig(layers)


@pytest.mark.parametrize(
    "setting",
    [
        {"gate": "deep"},
        {"gate_units": -1},
        {"map_rank": -1},
        {"adapter_rank": 0},
        {"adapter_alpha": 0.0},
        {"adapter_alpha": float("nan")},
        {"adapted": "mlp"},
    ],
)
def test_settings_that_make_no_exits_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        ExitConfig((1,), **setting)


def test_an_exit_after_the_last_layer_is_refused(base: LanguageModel) -> None:
    with pytest.raises(ConfigError, match=r"layers \[2, 4\] need a deeper model: tiny-Llama has layers 0 to 3"):
        ExitModel(base, ExitConfig((2, 4)))


def test_a_model_of_another_kind_is_refused(base: LanguageModel) -> None:
    gpt = GPT2LMHeadModel(
        GPT2Config(vocab_size=258, n_embd=16, n_layer=2, n_head=2, bos_token_id=256, eos_token_id=257)
    )
    with pytest.raises(ConfigError, match="exits fit Llama-, Qwen- and Gemma-like decoders"):
        ExitModel(LanguageModel("gpt", gpt, base.tokenizer), ExitConfig((1,)))


def test_what_is_trained_is_all_that_is_new(base: LanguageModel, model: ExitModel) -> None:
    theirs = {parameter.data_ptr() for parameter in base.model.parameters()}
    trained = list(model.parameters())
    assert trained
    assert not theirs & {parameter.data_ptr() for parameter in trained}
    assert sum(parameter.numel() for parameter in trained) == sum(tensor.numel() for tensor in model.state().values())
    assert not any(parameter.requires_grad for parameter in base.model.parameters())


def test_every_so_many_layers() -> None:
    assert every(5, 28) == (5, 10, 15, 20, 25)
    assert every(1, 4) == (1, 2, 3)
    assert every(2, 4) == (2,)
    for step in (0, 4):
        with pytest.raises(ConfigError, match=f"an exit every {step} layers leaves none in a model of 4"):
            every(step, 4)


def test_numbers_of_exits() -> None:
    depths = torch.tensor([[2, 5, 9], [12, 2, 12]])
    assert exit_index((2, 5, 9), depths, 12).tolist() == [[0, 1, 2], [3, 0, 3]]
