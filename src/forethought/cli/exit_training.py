"""Making exits: traces, training, gates, a certified threshold, and the artifact; a killed run goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forethought.cli.console import progress
from forethought.cli.exit_questions import Parts
from forethought.core import DecodingPolicy

if TYPE_CHECKING:
    from forethought.early_exit.calibration import CalibrationConfig
    from forethought.early_exit.certification import RiskBound, ThresholdCertificate
    from forethought.early_exit.model import ExitModel
    from forethought.early_exit.reinforcement import ReinforcementConfig
    from forethought.early_exit.saved import SavedExits
    from forethought.early_exit.task import Task
    from forethought.early_exit.traces import Trace

PASSES_READ = 20_000
"""Most passes whose states are held at once, at every exit, to fit maps and gates."""


@dataclass(frozen=True)
class ExitRun:
    """One run that writes an artifact.

    Attributes:
        model: Trained in place.
        parts: Questions.
        policy: How they are asked.
        bound: What the threshold has to be shown to keep.
        out: The artifact's folder; work in progress lies beside it, in OUT.work.
        half: Store in half precision; what is certified is what is stored.
        seed: Of everything drawn.
    """

    model: ExitModel
    parts: Parts
    policy: DecodingPolicy
    bound: RiskBound
    out: Path
    half: bool
    seed: int

    @property
    def work(self) -> Path:
        """Where traces and checkpoints lie."""
        return self.out.with_name(f"{self.out.name}.work")

    def calibrate(self, config: CalibrationConfig, samples: int, temperature: float) -> dict[str, Any]:
        """Stage 1 on the unmodified model's own answers, gates, threshold; returns the artifact's report.

        Args:
            config: Of stage 1.
            samples: Answers a question to learn from.
            temperature: Of them, where there are several.
        """
        from forethought.early_exit.calibration import calibrate
        from forethought.early_exit.gates import fit_gates, look
        from forethought.early_exit.maps import fit_maps
        from forethought.early_exit.traces import record_traces

        drawn = 0.0 if samples == 1 else temperature
        with progress("record answers") as report:
            traces = record_traces(
                self._task("train"), self.work / "traces", samples=samples, temperature=drawn, report=report
            )
        few = some(traces, PASSES_READ, self.seed)
        if self.model.config.map_rank:
            with progress("fit maps") as report:
                fit_maps(self.model, few, report=report)
        last = followed(
            "calibrate", calibrate(self.model, traces, config, checkpoint=self.work / "calibrate"), config.steps,
            {"divergence": "divergence {:.3f}", "agreement": "agreement {:.3f}", "mean_depth": "mean depth {:.2f}"},
        )  # fmt: skip
        with progress("fit gates") as report:
            losses = fit_gates(self.model, look(self.model, few, report))
        settings = {**asdict(config), "samples": samples, "temperature": drawn}
        return self._finish("calibrate", {"calibrate": settings, "last": last, "gate_losses": losses})

    def reinforce(self, config: ReinforcementConfig, start: SavedExits) -> dict[str, Any]:
        """Stage 2 on rollouts, and a threshold; returns the artifact's report.

        Args:
            config: Of stage 2.
            start: Whose exits the model has.
        """
        from forethought.early_exit.reinforcement import reinforce

        last = followed(
            "reinforce",
            reinforce(self.model, self._task("train"), config, checkpoint=self.work / "reinforce"), config.steps,
            {"reward": "reward {:.3f}", "accuracy": "accuracy {:.3f}", "mean_depth": "mean depth {:.2f}"},
        )  # fmt: skip
        began = {"hash": start.hash, "calibrate": start.report.get("calibrate")}
        return self._finish("reinforce", {"reinforce": asdict(config), "last": last, "start": began})

    def _task(self, part: str) -> Task:
        from forethought.early_exit.task import Task

        return Task(self.model.base, self.policy, getattr(self.parts, part), self.seed)

    def _finish(self, stage: str, learned: dict[str, Any]) -> dict[str, Any]:
        from forethought.early_exit.certification import certify_threshold

        if self.half:
            self.model.load_state({name: tensor.half().float() for name, tensor in self.model.state().items()})
        with progress("certify") as report:
            found = certify_threshold(self.model, self._task("certify"), self.bound, report=report)
        told = {
            "stage": stage,
            **learned,
            "questions": self.parts.describe(),
            "policy": asdict(self.policy),
            "threshold": found.threshold,
            "certificate": certificate(found),
        }
        self.model.save(self.out, report=told, half=self.half)
        shutil.rmtree(self.work / stage, ignore_errors=True)  # done: another run with other settings may begin
        return told


def followed(label: str, figures: Iterator[dict[str, float]], steps: int, shown: dict[str, str]) -> dict[str, float]:
    """Run a training to its end under a live line, and return its last figures.

    Args:
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
    import numpy as np

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
