"""A language model with exits: the unmodified model, its adapted view, gates and maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from forethought.artifacts import load_artifact, save_artifact
from forethought.early_exit.adapters import ADAPTED, Adapted, Adapters
from forethought.early_exit.blocks import Blocks
from forethought.early_exit.heads import GATES, ExitHeads, GateKind
from forethought.errors import ArtifactError, ConfigError
from forethought.models import LanguageModel

KIND = "exits"


@dataclass(frozen=True, slots=True)
class ExitConfig:
    """Where the exits are and how large what is learned there is.

    Attributes:
        layers: An exit before each of these, rising; layer 0 is the first block.
        gate: `linear`, or `mlp`.
        gate_units: Hidden units of an MLP gate; 0 is the paper's twice the width.
        map_rank: Of the exit maps; 0 reads exits out through the final norm and head alone, as the paper does.
        adapter_rank: r of LoRA.
        adapter_alpha: Scale times r.
        adapted: `attention` adapts q, k, v and o of every layer, as the paper does; `all` the MLP's maps too.
    """

    layers: tuple[int, ...]
    gate: GateKind = "linear"
    gate_units: int = 0
    map_rank: int = 0
    adapter_rank: int = 8
    adapter_alpha: float = 16.0
    adapted: Adapted = "attention"

    def __post_init__(self) -> None:
        if not self.layers or list(self.layers) != sorted(set(self.layers)) or self.layers[0] < 1:
            raise ConfigError(f"exits need rising layers >= 1, got {list(self.layers)}")
        if self.gate not in GATES:
            raise ConfigError(f"gate must be one of {', '.join(GATES)}, got {self.gate!r}")
        if self.adapted not in ADAPTED:
            raise ConfigError(f"adapted must be one of {', '.join(ADAPTED)}, got {self.adapted!r}")
        if self.gate_units < 0 or self.map_rank < 0 or self.adapter_rank < 1 or not self.adapter_alpha > 0:
            raise ConfigError(
                "gate_units and map_rank must be >= 0, adapter_rank >= 1 and adapter_alpha > 0, got "
                f"{self.gate_units}, {self.map_rank}, {self.adapter_rank} and {self.adapter_alpha}"
            )


def every(step: int, n_layers: int) -> tuple[int, ...]:
    """Every `step`-th layer but the first: {l : l mod step = 0, 0 < l < L} (2603.21376).

    Raises:
        ConfigError: No layer is left.
    """
    if not 1 <= step < n_layers:
        raise ConfigError(
            f"an exit every {step} layers leaves none in a model of {n_layers}; allowed is 1 to {n_layers - 1}"
        )
    return tuple(range(step, n_layers, step))


class ExitModel:
    """A model that may stop before its last layer.

    The prompt is always read by the unmodified model; the adapters work on generated tokens alone. So whatever
    reads the prefill (a probe, a router, a prefix cache) sees what it would see without exits, and full depth
    through `teacher` is the unmodified model to the last bit.

    Args:
        base: The unmodified model; its modules are left as they are.
        config: Exits.
        seed: Of the first weights.

    Attributes:
        teacher: The unmodified model, taken apart.
        student: The adapted view of the same weights, taken apart.
        heads: Gates and maps.

    Raises:
        ConfigError: A model of another kind, or an exit that the model has no layer for.
    """

    def __init__(self, base: LanguageModel, config: ExitConfig, *, seed: int = 0) -> None:
        self.base = base
        self.config = config
        self.teacher = Blocks(base.model)
        self.teacher.verify()
        if config.layers[-1] >= self.teacher.n_layers:
            raise ConfigError(
                f"exits before layers {list(config.layers)} need a deeper model: {base.name} has layers "
                f"0 to {self.teacher.n_layers - 1}"
            )
        self.adapters = Adapters(
            base.model, rank=config.adapter_rank, alpha=config.adapter_alpha, adapted=config.adapted, seed=seed
        )
        self.student = Blocks(self.adapters.model)
        self.heads = ExitHeads(
            config.layers,
            self.teacher.width,
            gate=config.gate,
            gate_units=config.gate_units,
            map_rank=config.map_rank,
            seed=seed,
        )

    @property
    def n_layers(self) -> int:
        """L, which is also the depth of a token that takes no exit."""
        return self.teacher.n_layers

    @property
    def depths(self) -> tuple[int, ...]:
        """Every depth a token may have: the exits' layers and L."""
        return (*self.config.layers, self.n_layers)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Everything that is trained."""
        yield from self.adapters.parameters()
        yield from self.heads.parameters()

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that is trained, by name."""
        heads = {f"heads.{name}": tensor.detach() for name, tensor in self.heads.state_dict().items()}
        return {**{f"adapters.{name}": tensor for name, tensor in self.adapters.state().items()}, **heads}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take what `state` gave.

        Raises:
            ArtifactError: A tensor is missing or of another shape.
        """
        self.adapters.load(_part(state, "adapters."))
        heads = _part(state, "heads.")
        for name, own in self.heads.state_dict().items():
            if name not in heads or heads[name].shape != own.shape:
                shape = tuple(heads[name].shape) if name in heads else None
                raise ArtifactError(f"exit head {name!r} has shape {shape}, the model needs {tuple(own.shape)}")
        self.heads.load_state_dict(heads)

    def save(self, path: Path, *, report: Mapping[str, Any] | None = None, half: bool = False) -> str:
        """Write an artifact and return its hash.

        Args:
            path: Directory to create or replace.
            report: How it came to be and what was measured: JSON.
            half: Store in half precision.
        """
        manifest = {
            "kind": KIND,
            "config": asdict(self.config),
            "model": {
                "name": self.base.name,
                "weights": self.base.weights,
                "layers": self.n_layers,
                "width": self.teacher.width,
            },
            "report": dict(report or {}),
        }
        dtype = np.float16 if half else np.float32
        return save_artifact(
            path, manifest, {name: tensor.numpy().astype(dtype) for name, tensor in self.state().items()}
        )

    @classmethod
    def load(cls, path: Path, base: LanguageModel) -> ExitModel:
        """Read an artifact for the model that it was made for.

        Raises:
            ArtifactError: Altered, of another kind or release, or made for another model or depth.
        """
        manifest, config, tensors, _ = read_exits(path)
        made_for = manifest["model"]
        if (made_for["layers"], made_for["width"]) != (base.n_layers, base.width):
            raise ArtifactError(
                f"{path} was made for {made_for['layers']} layers of width {made_for['width']}; "
                f"{base.name} has {base.n_layers} of width {base.width}"
            )
        if made_for["weights"] != base.weights:
            raise ArtifactError(
                f"{path} was made for {made_for['name']} with weights {made_for['weights'][:12]}...; "
                f"{base.name} has {base.weights[:12]}..."
            )
        model = cls(base, config)
        model.load_state({name: torch.from_numpy(array.astype(np.float32)) for name, array in tensors.items()})
        return model


def read_exits(path: Path) -> tuple[dict[str, Any], ExitConfig, dict[str, np.ndarray], str]:
    """Manifest, settings, tensors and hash of saved exits, before any model is at hand.

    Raises:
        ArtifactError: None there, altered, or of another kind or release.
    """
    manifest, tensors, hash = load_artifact(path)
    if manifest.get("kind") != KIND:
        raise ArtifactError(f"{path} holds {manifest.get('kind')!r}, not exits")
    try:
        config = ExitConfig(**{**manifest["config"], "layers": tuple(manifest["config"]["layers"])})
        missing = {"name", "weights", "layers", "width"} - set(manifest["model"])
    except (KeyError, TypeError, ConfigError) as error:
        raise ArtifactError(f"{path} describes no exits that this release knows: {error}") from error
    if missing:
        raise ArtifactError(f"{path} does not say the {min(missing)} of the model that its exits were made for")
    return manifest, config, tensors, hash


def _part(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def exit_index(layers: Sequence[int], depth: torch.Tensor, n_layers: int) -> torch.Tensor:
    """Number of the exit of each depth, K for full depth.

    Args:
        layers: Of the exits.
        depth: Layers that ran, any shape; each an exit's layer or `n_layers`.
        n_layers: L.
    """
    return torch.searchsorted(torch.tensor([*layers, n_layers]), depth)
