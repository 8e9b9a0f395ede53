"""Policies that can be moved: all weights of a small model, or low-rank adapters on a large one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from forethought.artifacts import load_artifact, save_artifact
from forethought.errors import ArtifactError, ConfigError
from forethought.models import LanguageModel, save_decoder

KIND = "budget-adapters"


class FullWeights:
    """All weights are trained.

    Args:
        model: In float32; copied, so what was given stays as it is.

    Raises:
        ConfigError: Another precision.
    """

    def __init__(self, model: LanguageModel) -> None:
        if model.dtype != "float32":
            raise ConfigError(f"training all weights needs float32, got {model.dtype}")
        self.model = LanguageModel(model.name, deepcopy(model.model), model.tokenizer, weights=model.weights)
        self._start = [weight.detach().clone() for weight in self.parameters]

    @property
    def parameters(self) -> Sequence[torch.nn.Parameter]:
        """Every weight."""
        return list(self.model.model.parameters())

    def as_reference(self) -> AbstractContextManager[None]:
        """The model as it was given."""
        return _holding(self.parameters, self._start)

    def save(self, folder: Path) -> None:
        """Write a model folder, as `models.load` reads it."""
        save_decoder(self.model, folder)


@contextmanager
def _holding(parameters: Sequence[torch.nn.Parameter], values: Sequence[torch.Tensor]) -> Iterator[None]:
    """Within it the parameters have these values."""
    now = [parameter.data for parameter in parameters]
    try:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data = value
        yield
    finally:
        for parameter, value in zip(parameters, now, strict=True):
            parameter.data = value


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters (Hu et al., arXiv 2106.09685) on the linear maps of every block.

    Attributes:
        rank: Of the update of each map.
        alpha: Its scale is alpha / rank.
        modules: Names of the maps.
        seed: Of the first weights.
    """

    rank: int = 8
    alpha: float = 16.0
    modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.alpha > 0 or not self.modules:
            raise ConfigError(
                f"rank must be >= 1, alpha > 0 and some module named, got {self.rank}, {self.alpha} and {self.modules}"
            )


class LowRank:
    """Adapters of the PEFT library are trained, the model's own weights are not.

    Args:
        model: Gets the adapters: use it through this learner alone from then on.
        config: Of the adapters.
    """

    def __init__(self, model: LanguageModel, config: LoraConfig | None = None) -> None:
        from peft import LoraConfig as PeftConfig
        from peft import inject_adapter_in_model

        self.config = config or LoraConfig()
        settings = PeftConfig(
            r=self.config.rank,
            lora_alpha=self.config.alpha,  # type: ignore[arg-type]
            target_modules=list(self.config.modules),
            lora_dropout=0.0,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            adapted: Any = inject_adapter_in_model(settings, model.model)
        self.model = LanguageModel(model.name, adapted, model.tokenizer, weights=model.weights)
        self._start = [weight.detach().clone() for weight in self.parameters]

    @property
    def parameters(self) -> Sequence[torch.nn.Parameter]:
        """The adapters."""
        return [weight for name, weight in self.model.model.named_parameters() if "lora_" in name]

    def as_reference(self) -> AbstractContextManager[None]:
        """The adapters as they were made or loaded; new ones change nothing."""
        return _holding(self.parameters, self._start)

    def save(self, folder: Path) -> None:
        """Write the adapters as an artifact that `load` reads."""
        kept = {"kind": KIND, "model": self.model.weights, "config": asdict(self.config)}
        arrays = {
            name: weight.detach().numpy() for name, weight in self.model.model.named_parameters() if "lora_" in name
        }
        save_artifact(folder, kept, arrays)

    @classmethod
    def load(cls, folder: Path, model: LanguageModel) -> LowRank:
        """Adapters on the model that they were trained on.

        Raises:
            ArtifactError: Damaged, something else, or of other weights.
        """
        kept, arrays, _ = load_artifact(folder)
        if kept.get("kind") != KIND:
            raise ArtifactError(f"{folder} holds {kept.get('kind')!r}, not {KIND!r}")
        if kept["model"] != model.weights:
            raise ArtifactError(f"the adapters in {folder} are of weights {kept['model']}, not of {model.weights}")
        settings = {**kept["config"], "modules": tuple(kept["config"]["modules"])}
        learner = cls(model, LoraConfig(**settings))
        own = {name: weight for name, weight in learner.model.model.named_parameters() if "lora_" in name}
        wanted, found = ({name: tuple(a.shape) for name, a in held.items()} for held in (own, arrays))
        if wanted != found:
            odd = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
            raise ArtifactError(f"the adapters in {folder} do not fit {model.name}: {len(odd)} differ, as {odd[0]}")
        with torch.no_grad():
            for name, weight in own.items():
                weight.copy_(torch.from_numpy(arrays[name].copy()))
        learner._start = [weight.detach().clone() for weight in learner.parameters]
        return learner
