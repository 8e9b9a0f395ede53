"""What the verbs of `forethought exits` are told, by what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from forethought.early_exit.calibration import CalibrationConfig
    from forethought.early_exit.exit_run import Calibration, Certification, Reinforcement
    from forethought.early_exit.gates import GateFitConfig
    from forethought.early_exit.model import ExitConfig
    from forethought.early_exit.reinforcement import ReinforcementConfig

DEFAULT_MODEL = "smollm2-135m-instruct"
_EXITS = 5
"""Exits where nobody says where, about: every fifth layer of 30, as the paper has them."""


@dataclass(frozen=True)
class ModelFlags:
    """Which model, and what it is asked.

    Args:
        model: Catalogue name, folder, or `arithmetic-small`, the decoder that comes with the package.
        questions: Questions as JSON lines; by default the committed ones, for `arithmetic-small` arithmetic.
        limit: Only so many questions, drawn by the seed and spread over groups.
        system: System turn before each question, "" for none; by default what goes with the questions.
        max_tokens: Longest answer.
    """

    model: str = DEFAULT_MODEL
    questions: Path | None = None
    limit: int | None = None
    system: str | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class ExitFlags:
    """Where the exits are.

    Args:
        every: An exit before every so-many-th layer.
        layers: Exits before these layers, such as `--layers 12 15 18`.
        gate: `linear`, or the paper's `mlp`.
        gate_units: Hidden units of an `mlp` gate; 0 is the paper's twice the width.
        map_rank: Rank of the exits' maps towards the last layer; 0 for none.
        adapted: What LoRA adapts in each layer: `attention`, as the paper has it, or `all` its maps.
        adapter_rank: r of LoRA.
        adapter_alpha: Its scale times r.
    """

    every: int | None = None
    layers: Annotated[Sequence[int], Parameter(consume_multiple=True, negative=())] = ()
    gate: Literal["linear", "mlp"] = "linear"
    gate_units: int = 0
    map_rank: int = 0
    adapted: Literal["attention", "all"] = "attention"
    adapter_rank: int = 8
    adapter_alpha: float = 16.0

    def config(self, n_layers: int) -> ExitConfig:
        """Exits of a model of so many layers.

        Raises:
            ConfigError: Both flags, or no such layers.
        """
        from forethought.early_exit.model import ExitConfig, every
        from forethought.errors import ConfigError

        if self.layers and self.every is not None:
            raise ConfigError("--every and --layers both say where the exits are: name one of them")
        step = max(1, n_layers // (_EXITS + 1)) if self.every is None else self.every
        learned = {name: value for name, value in asdict(self).items() if name not in ("every", "layers")}
        return ExitConfig(tuple(self.layers) or every(step, n_layers), **learned)


@dataclass(frozen=True)
class TrainingFlags:
    """How exits are calibrated.

    Args:
        steps: Of Adam.
        batch: Answers a step.
        samples: Answers of the unmodified model to each question, to learn from.
        temperature: Of these answers, where there are several; a single one is greedy.
        label: What a gate learns while adapters are trained: `divergence` from full depth, or `agreement` with it.
        kappa: How fast what a gate learns falls with the divergence.
        explore: Share of tokens that leave at an exit drawn evenly.
        whole: Share of answers that are passed to full depth.
        adapter_rate: Learning rate of the adapters.
        head_rate: Learning rate of gates and maps.
        ridge: Penalty of the maps that training begins with.
        reduced: Compute in bfloat16, where that is faster; weights stay fp32.
    """

    steps: int = 500
    batch: int = 32
    samples: int = 4
    temperature: float = 0.7
    label: Literal["divergence", "agreement"] = "divergence"
    kappa: float = 1.0
    explore: float = 0.1
    whole: float = 0.25
    adapter_rate: float = 1e-3
    head_rate: float = 1e-3
    ridge: float = 1.0
    reduced: Annotated[bool, Parameter(negative=())] = False

    def config(self, seed: int) -> CalibrationConfig:
        """Settings of stage 1.

        Raises:
            ConfigError: A setting outside its range.
        """
        from forethought.early_exit.calibration import CalibrationConfig

        taken = ("steps", "batch", "kappa", "label", "explore", "whole", "adapter_rate", "head_rate", "reduced")
        return CalibrationConfig(**{name: getattr(self, name) for name in taken}, seed=seed)


@dataclass(frozen=True)
class GateFlags:
    """How gates are fitted, once adapters and maps stay.

    Args:
        gate_epochs: Over the recorded states.
        gate_batch: Passes a step of Adam.
        gate_fit_rate: Peak learning rate.
        gate_decay: Of the weights.
        gate_answers: Answers whose states are read: the `sampled` ones, or `greedy` ones, as exits are served.
    """

    gate_epochs: int = 12
    gate_batch: int = 512
    gate_fit_rate: float = 2e-3
    gate_decay: float = 1e-2
    gate_answers: Literal["sampled", "greedy"] = "sampled"

    def config(self, seed: int) -> GateFitConfig:
        """Settings of the fit.

        Raises:
            ConfigError: A setting outside its range.
        """
        from forethought.early_exit.gates import GateFitConfig

        return GateFitConfig(self.gate_epochs, self.gate_batch, self.gate_fit_rate, self.gate_decay, seed)

    def stage(self, training: TrainingFlags, seed: int) -> Calibration:
        """All of stage 1.

        Raises:
            ConfigError: A setting outside its range.
        """
        from forethought.early_exit.exit_run import Calibration

        return Calibration(
            training.config(seed),
            training.samples,
            training.temperature,
            training.ridge,
            self.config(seed),
            self.gate_answers,
        )


@dataclass(frozen=True)
class BoundFlags:
    """What the threshold has to be shown to keep.

    Args:
        loss: `success` lost, `clipped` without counting gains, `consistency` of whole answers, or `edits` of tokens.
        tolerance: Mean loss that is allowed.
        delta: Probability with which the certificate may be wrong.
        thresholds: To test, falling, fixed beforehand; by default 14 from 0.99 to 0.1.
        half: Store in half precision.
    """

    loss: Literal["success", "clipped", "consistency", "edits"] = "success"
    tolerance: float = 0.02
    delta: float = 0.1
    thresholds: Annotated[Sequence[float], Parameter(consume_multiple=True, negative=())] = ()
    half: Annotated[bool, Parameter(negative=())] = False

    def certification(self) -> Certification:
        """The bound, and what is tested for it.

        Raises:
            ConfigError: Outside (0, 1), or thresholds that do not fall.
        """
        from forethought.early_exit.certification import THRESHOLDS, RiskBound
        from forethought.early_exit.exit_run import Certification

        bound = RiskBound(self.loss, self.tolerance, self.delta)
        return Certification(bound, tuple(self.thresholds) or THRESHOLDS, self.half)


@dataclass(frozen=True)
class RolloutFlags:
    """How exits are reinforced.

    Args:
        price: lambda, of a pass through all layers, in units of task reward.
        beta: Price of a nat of divergence from the unmodified model.
        anchor: Weight of that divergence itself in the loss; 0 in the paper.
        steps: Of Adam.
        prompts: Questions a step.
        group: Answers a question.
        temperature: Of the rollouts' tokens.
        credit: `token` charges each pass its own depth; `sequence` is the paper's.
        adapter_rate: Learning rate of adapters and maps.
        gate_rate: Learning rate of the gates.
        reduced: Differentiate in bfloat16, where that is faster; rollouts and weights stay fp32.
    """

    price: Annotated[float, Parameter(name="--lambda")] = 0.5
    beta: float = 0.05
    anchor: float = 0.0
    steps: int = 120
    prompts: int = 16
    group: int = 4
    temperature: float = 1.0
    credit: Literal["token", "sequence"] = "token"
    adapter_rate: float = 3e-4
    gate_rate: float = 1e-3
    reduced: Annotated[bool, Parameter(negative=())] = False

    def config(self, seed: int) -> ReinforcementConfig:
        """Settings of stage 2.

        Raises:
            ConfigError: A setting outside its range.
        """
        from forethought.early_exit.reinforcement import ReinforcementConfig

        return ReinforcementConfig(**asdict(self), seed=seed)


@dataclass(frozen=True)
class SharpenFlags:
    """Around which rule rollouts explore.

    Args:
        sharpen: Sharpen the gates around this threshold before rollouts: what left above it leaves above 0.5 from
            then on. Without it, gates are tossed as they are, which stops most tokens at the first exits.
        sharpness: How sharply; the larger, the nearer a toss is to the threshold.
    """

    sharpen: float | None = None
    sharpness: float = 2.0

    def stage(self, rollouts: RolloutFlags, seed: int) -> Reinforcement:
        """All of stage 2.

        Raises:
            ConfigError: A setting outside its range.
        """
        from forethought.early_exit.exit_run import Reinforcement

        return Reinforcement(rollouts.config(seed), self.sharpen, self.sharpness)


@dataclass(frozen=True)
class AnswerFlags:
    """How one question is answered.

    Args:
        max_tokens: Longest answer; by default 128, or two thirds of a window that is too small for it.
        temperature: 0 is greedy.
        system: System turn, "" for none; by default that of the exits' questions.
        seed: Of the answer's random stream.
        compare: Let the unmodified model answer too, and show what both took.
    """

    max_tokens: int | None = None
    temperature: float = 0.0
    system: str | None = None
    seed: int = 0
    compare: Annotated[bool, Parameter(negative=())] = False
