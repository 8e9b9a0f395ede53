"""Making exits: traces, training, gates, a certified threshold, and the artifact; a killed run goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from forethought.artifacts import load_artifact
from forethought.core import DecodingPolicy
from forethought.early_exit.base import Report, silent
from forethought.early_exit.calibration import CalibrationConfig, calibrate
from forethought.early_exit.certification import (
    THRESHOLDS,
    RiskBound,
    ThresholdCertificate,
    certify_threshold,
    check_thresholds,
)
from forethought.early_exit.gates import GateFitConfig, fit_gates, look, sharpen
from forethought.early_exit.maps import fit_maps
from forethought.early_exit.model import KIND, ExitModel
from forethought.early_exit.parts import Parts
from forethought.early_exit.reinforcement import ReinforcementConfig, reinforce
from forethought.early_exit.saved import SavedExits
from forethought.early_exit.task import Task
from forethought.early_exit.traces import Trace, record_traces
from forethought.errors import ArtifactError, ConfigError

PASSES_READ = 20_000
"""Most passes whose states are held at once, at every exit, to fit maps and gates."""

Stage = Literal["calibrate", "reinforce"]

Progress = Callable[[str], AbstractContextManager[Report]]
"""Makes what reports of one part of a run, by the part's name."""


def quiet(label: str) -> AbstractContextManager[Report]:
    """Show nobody."""
    return nullcontext(silent)


def nobody(text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Calibration:
    """Stage 1, from answers to gates.

    Attributes:
        config: How adapters, maps and gates are trained.
        samples: Answers a question to learn from.
        temperature: Of these answers, where there are several; a single one is greedy.
        ridge: Penalty of the maps that training begins with, as `fit_maps` takes it.
        gates: How gates are fitted once adapters and maps stay.
        gate_answers: On which answers: the `sampled` ones, or `greedy` ones, as exits are served.
    """

    config: CalibrationConfig = field(default_factory=CalibrationConfig)
    samples: int = 4
    temperature: float = 0.7
    ridge: float = 1.0
    gates: GateFitConfig = field(default_factory=GateFitConfig)
    gate_answers: Literal["sampled", "greedy"] = "sampled"

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.temperature > 0:
            raise ConfigError(f"samples must be >= 1 and temperature > 0, got {self.samples} and {self.temperature:g}")
        if not self.ridge > 0:
            raise ConfigError(f"ridge must be > 0, got {self.ridge:g}")
        if self.gate_answers not in ("sampled", "greedy"):
            raise ConfigError(f"gate_answers must be 'sampled' or 'greedy', got {self.gate_answers!r}")

    @property
    def drawn(self) -> float:
        """Temperature of the recorded answers."""
        return 0.0 if self.samples == 1 else self.temperature


@dataclass(frozen=True)
class Reinforcement:
    """Stage 2, from gates to gates.

    Attributes:
        config: How adapters, maps and gates are trained on rollouts.
        around: Threshold that rollouts explore around; None leaves the gates the coins that they are.
        sharpness: How sharply, as `sharpen` takes it: what left above `around` leaves above 1/2 from then on.
    """

    config: ReinforcementConfig = field(default_factory=ReinforcementConfig)
    around: float | None = None
    sharpness: float = 2.0

    def __post_init__(self) -> None:
        if not (self.around is None or 0 < self.around < 1) or not self.sharpness > 0:
            raise ConfigError(
                "the threshold to explore around must lie in (0, 1) and the sharpness be > 0, got "
                f"{self.around} and {self.sharpness:g}"
            )


@dataclass(frozen=True)
class Certification:
    """What a threshold has to show.

    Attributes:
        bound: What it has to keep.
        thresholds: To test, from safe to thrifty, fixed before any data.
        half: Store in half precision; what is certified is what is stored.
    """

    bound: RiskBound = field(default_factory=RiskBound)
    thresholds: Sequence[float] = THRESHOLDS
    half: bool = False

    def __post_init__(self) -> None:
        check_thresholds(self.thresholds)


@dataclass(frozen=True)
class ExitRun:
    """One run that writes an artifact.

    Attributes:
        model: Trained in place.
        parts: Questions.
        policy: How they are asked.
        out: The artifact's folder; work in progress lies beside it, in OUT.work.
        certification: What its threshold has to show.
        seed: Of everything drawn.
        progress: Shows what is under way.
        tell: Is told where a killed run goes on.
    """

    model: ExitModel
    parts: Parts
    policy: DecodingPolicy
    out: Path
    certification: Certification = field(default_factory=Certification)
    seed: int = 0
    progress: Progress = quiet
    tell: Callable[[str], None] = nobody

    def calibrate(self, stage: Calibration) -> dict[str, Any]:
        """Stage 1 on the unmodified model's own answers, gates, threshold; returns the artifact's report.

        Raises:
            DataError: No answer has two tokens, or too many losses were not finite.
            ArtifactError: The checkpoint is damaged, or of a run with other settings.
        """
        traces = self._traces(stage.samples, stage.drawn)
        few = some(traces, PASSES_READ, self.seed)
        if self.model.config.map_rank:
            with self.progress("fit maps") as report:
                fit_maps(self.model, few, ridge=stage.ridge, report=report)
        figures = calibrate(self.model, traces, stage.config, checkpoint=work(self.out) / "calibrate")
        shown = {"divergence": "divergence {:.3f}", "agreement": "agreement {:.3f}", "mean_depth": "mean depth {:.2f}"}
        last = self._follow("calibrate", figures, stage.config.steps, shown)
        if stage.gate_answers == "greedy":
            few = some(self._traces(1, 0.0), PASSES_READ, self.seed)
        with self.progress("fit gates") as report:
            losses = fit_gates(self.model, look(self.model, few, report), stage.gates)
        settings = {
            **asdict(stage.config), "samples": stage.samples, "temperature": stage.drawn, "ridge": stage.ridge,
        }  # fmt: skip
        gates = {**asdict(stage.gates), "answers": stage.gate_answers}
        return self._finish("calibrate", {"calibrate": settings, "gates": gates, "last": last, "gate_losses": losses})

    def reinforce(self, stage: Reinforcement, start: SavedExits) -> dict[str, Any]:
        """Stage 2 on rollouts, and a threshold; returns the artifact's report.

        Args:
            stage: Its settings.
            start: Whose exits the model has.

        Raises:
            DataError: Too many losses were not finite.
            ArtifactError: As `calibrate`.
        """
        if stage.around is not None:
            sharpen(self.model, stage.around, stage.sharpness)
        figures = reinforce(self.model, self._task("train"), stage.config, checkpoint=work(self.out) / "reinforce")
        shown = {"reward": "reward {:.3f}", "accuracy": "accuracy {:.3f}", "mean_depth": "mean depth {:.2f}"}
        last = self._follow("reinforce", figures, stage.config.steps, shown)
        began = {"hash": start.hash, **{name: start.report.get(name) for name in ("calibrate", "gates")}}
        sharpened = None if stage.around is None else {"around": stage.around, "sharpness": stage.sharpness}
        learned = {"reinforce": asdict(stage.config), "sharpened": sharpened, "last": last, "start": began}
        return self._finish("reinforce", learned)

    def _task(self, part: Literal["train", "certify"]) -> Task:
        return Task(self.model.base, self.policy, getattr(self.parts, part), self.seed)

    def _traces(self, samples: int, temperature: float) -> list[Trace]:
        with self.progress("record answers") as report:
            return record_traces(
                self._task("train"), work(self.out) / "traces", samples=samples, temperature=temperature, report=report
            )

    def _follow(
        self, stage: Stage, figures: Iterator[dict[str, float]], steps: int, shown: Mapping[str, str]
    ) -> dict[str, float]:
        return followed(self.progress, stage, self._going_on(stage, figures, steps), steps, shown)

    def _going_on(self, stage: Stage, figures: Iterator[dict[str, float]], steps: int) -> Iterator[dict[str, float]]:
        """The same figures, having told where a killed run was, once its checkpoint was found to be of this run."""
        done = begun(self.out, stage)
        for place, figure in enumerate(figures):
            if place == 0 and done is not None:
                self.tell(f"goes on from step {done} of {steps}, where a killed run was ({work(self.out) / stage})")
            yield figure

    def _finish(self, stage: Stage, learned: dict[str, Any]) -> dict[str, Any]:
        certification = self.certification
        if certification.half:
            self.model.load_state({name: tensor.half().float() for name, tensor in self.model.state().items()})
        with self.progress("certify") as report:
            found = certify_threshold(
                self.model, self._task("certify"), certification.bound,
                thresholds=certification.thresholds, report=report,
            )  # fmt: skip
        told = {
            "stage": stage,
            **learned,
            "questions": self.parts.describe(),
            "policy": asdict(self.policy),
            "threshold": found.threshold,
            "certificate": certificate(found),
        }
        self.model.save(self.out, report=told, half=certification.half)
        shutil.rmtree(work(self.out) / stage, ignore_errors=True)  # done: another run with other settings may begin
        return told


def work(out: Path) -> Path:
    """Where traces and checkpoints of a run lie."""
    return out.with_name(f"{out.name}.work")


def check_free(out: Path, *, overwrite: bool = False) -> None:
    """Refuse a folder in which something would be lost, before hours of work are put into what would replace it.

    Args:
        out: Of the exits to be made.
        overwrite: Whether finished exits there may be replaced, once the new ones are done.

    Raises:
        ConfigError: It holds finished exits that are to stay, or something that is no exits.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir():
        raise ConfigError(f"{out} is there and is no folder: name another")
    try:
        manifest, _, _ = load_artifact(out)
    except ArtifactError as error:
        raise ConfigError(f"{out} is there and holds no exits: name another folder ({error})") from error
    if manifest.get("kind") != KIND:
        raise ConfigError(f"{out} holds {manifest.get('kind')!r}, not exits: name another folder")
    if not overwrite:
        raise ConfigError(
            f"{out} holds finished exits (stage {(manifest.get('report') or {}).get('stage', 'unknown')}): nothing was "
            "changed. Name another folder, or state --overwrite to replace them once the new ones are done"
        )


def begun(out: Path, stage: Stage) -> int | None:
    """Steps that a killed run has in its checkpoint; None where there is none to go on from.

    Raises:
        ArtifactError: The checkpoint is damaged.
    """
    folder = work(out) / stage
    return int(load_artifact(folder)[0].get("step", 0)) if folder.is_dir() and any(folder.iterdir()) else None


def followed(
    progress: Progress, label: str, figures: Iterator[dict[str, float]], steps: int, shown: Mapping[str, str]
) -> dict[str, float]:
    """Run a training to its end under a live line, and return its last figures.

    Args:
        progress: Makes the line.
        label: Of the line.
        figures: Of each step, as it is taken.
        steps: In all.
        shown: Figure -> how to write it.
    """
    last: dict[str, float] = {}
    with progress(label) as report:
        for last in figures:
            said = ", ".join(form.format(last[name]) for name, form in shown.items())
            report(int(last["step"]) + 1, steps, said)
    return last


def some(traces: Sequence[Trace], passes: int, seed: int) -> list[Trace]:
    """Traces drawn without replacement until they hold so many passes; all of them where they hold fewer."""
    kept: list[Trace] = []
    for index in np.random.default_rng(seed).permutation(len(traces)).tolist():
        if (passes := passes - (len(traces[index].tokens) - 1)) < 0 and kept:
            break
        kept.append(traces[index])
    return kept


def certificate(found: ThresholdCertificate) -> dict[str, Any]:
    """What the artifact records of its certificate."""
    tests = found.certificate
    return {
        "threshold": found.threshold,
        "loss": found.bound.loss,
        "tolerance": found.bound.tolerance,
        "delta": found.bound.delta,
        "n": tests.n,
        "smallest_tolerance": found.smallest_tolerance,
        "thresholds": list(found.thresholds),
        "p_values": [None if p != p else float(p) for p in tests.p_values],
        "sentence": str(found),
    }
