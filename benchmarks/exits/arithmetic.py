"""The small decoder on graded arithmetic: calibrated, calibrated on, reinforced; every arm and seed kept on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from frontier import TOLERANCES, thriftiest

from forethought.artifacts import atomic_write
from forethought.core import DecodingPolicy, content_hash
from forethought.early_exit import (
    CalibrationConfig,
    ExitConfig,
    ExitModel,
    ExitRule,
    GateConfidence,
    Never,
    ReinforcementConfig,
    SoftmaxGap,
    StaticCut,
    Task,
    Threshold,
    Trace,
    answer_cost,
    calibrate,
    every,
    first_agreeing,
    free_run,
    record_traces,
    reinforce,
    sharpen,
    teacher_force,
    unadapted,
)
from forethought.models import load
from forethought.questions import arithmetic_questions

SEEDS = (0, 1, 2, 3, 4)
PRICES = (0.03, 0.1, 0.2, 0.4)
SEQUENCE_PRICE = 0.5
"""Of the paper's own advantage, as in its code."""
SEQUENCE_SEEDS = (0,)
SHARPNESS = 3.0
"""Of the gates' logits around the chosen threshold, for rollouts."""
FALLBACK = 0.95
"""Threshold to explore around where none keeps the accuracy on validation questions."""
THRESHOLDS = (0.5, 0.7, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999)
GAPS = (0.95, 0.99, 0.999, 0.9999, 0.99999)
EXITS = {"gate": "mlp", "gate_units": 64, "adapter_rank": 16, "adapter_alpha": 32.0, "adapted": "all"}
LONGEST = 64
BATCH = 250


@dataclass(frozen=True)
class Size:
    """How much of the study is run.

    Attributes:
        train: Questions that traces and rollouts are of.
        validation: That thresholds are chosen on.
        test: That report.
        calibration: Stage 1.
        continued: Stage 1 once more, for as many tokens as stage 2.
        reinforcement: Stage 2, for every price.
    """

    train: int
    validation: int
    test: int
    calibration: CalibrationConfig
    continued: CalibrationConfig
    reinforcement: ReinforcementConfig

    @property
    def name(self) -> str:
        """Of the folder of these settings: another study never finds its arms."""
        kept = [asdict(self), EXITS, PRICES, SEQUENCE_PRICE, SHARPNESS, FALLBACK, THRESHOLDS, GAPS, LONGEST]
        return content_hash(json.dumps(kept, sort_keys=True))[:12]


FULL = Size(
    train=20000,
    validation=1000,
    test=1000,
    calibration=CalibrationConfig(
        steps=4000, batch=64, kappa=30.0, explore=0.02, whole=0.5, adapter_rate=2e-3, head_rate=4e-3
    ),
    continued=CalibrationConfig(
        steps=80, batch=64, kappa=30.0, explore=0.02, whole=0.5, adapter_rate=1e-4, head_rate=3e-3
    ),
    reinforcement=ReinforcementConfig(
        steps=80, prompts=16, group=4, beta=0.2, anchor=1.0, adapter_rate=1e-4, gate_rate=3e-3
    ),
)
QUICK = Size(
    train=400,
    validation=100,
    test=200,
    calibration=replace(FULL.calibration, steps=60),
    continued=replace(FULL.continued, steps=10),
    reinforcement=replace(FULL.reinforcement, steps=10),
)

Point = dict[str, float]
"""`accuracy`, `depth` (layers a generated token's pass) and `macs_saved` of one rule."""


class Study:
    """One seed's arms.

    Args:
        folder: Where arms and their points are kept; what is there is not computed again.
        size: How much.
        seed: Of adapters, batches, rollouts and exits.
        report: Told what is done.
    """

    def __init__(self, folder: Path, size: Size, seed: int, report: Callable[[str], None]) -> None:
        self.folder = folder / size.name / f"seed-{seed}"
        self.size = size
        self.seed = seed
        self.report = report
        self.base = load("arithmetic-small")
        policy = DecodingPolicy(max_tokens=LONGEST)
        self.train = Task(self.base, policy, arithmetic_questions("train", size.train, seed=0))
        self.validation = Task(self.base, policy, arithmetic_questions("validation", size.validation, seed=1))
        self.test = Task(self.base, policy, arithmetic_questions("test", size.test, seed=2))
        self.floor = 1.0
        self.traces: list[Trace] = record_traces(self.train, folder / "traces", samples=1, temperature=0.0)

    def points(self) -> dict[str, Any]:
        """Every arm's points: all rules on validation questions, the chosen ones and the cuts on test questions."""
        arms = {"base": self._arm("base", self._points_of_base)}
        self.floor = float(arms["base"]["validation"]["full"]["accuracy"])
        found = self._arm("calibrated", self._points_of_calibrated)
        arms["calibrated"] = self._tested("calibrated", self.calibrated, found)
        makers = {"continued": self.continued}
        makers |= {f"price {price:g}": partial(self.reinforced, price) for price in PRICES}
        if self.seed in SEQUENCE_SEEDS:
            makers["sequence"] = partial(self.reinforced, SEQUENCE_PRICE, credit="sequence")
        for name, make in makers.items():
            found = self._arm(name, lambda make=make: self._swept(make()))
            arms[name] = self._tested(name, make, found)
        return arms

    def calibrated(self) -> ExitModel:
        """After stage 1."""
        config = replace(self.size.calibration, seed=self.seed)
        return self._trained(
            "calibrated", self._new(), lambda model, at: calibrate(model, self.traces, config, checkpoint=at)
        )

    def continued(self) -> ExitModel:
        """Stage 1 for as many tokens more as stage 2 has."""
        config = replace(self.size.continued, seed=self.seed + 1000)
        return self._trained(
            "continued", self.calibrated(), lambda model, at: calibrate(model, self.traces, config, checkpoint=at)
        )

    def reinforced(self, price: float, credit: str = "token") -> ExitModel:
        """Stage 2 at one price of depth."""
        config = replace(self.size.reinforcement, price=price, credit=credit, seed=self.seed)
        if credit == "sequence":
            config = replace(config, anchor=0.0)
        name = f"price-{price:g}" if credit == "token" else "sequence"
        return self._trained(
            name, self._sharpened(), lambda model, at: reinforce(model, self.train, config, checkpoint=at)
        )

    def _sharpened(self) -> ExitModel:
        """The calibrated model with gates that toss coins around the threshold chosen on validation questions."""
        model = self.calibrated()
        points = json.loads((self.folder / "calibrated.json").read_text())["validation"]
        chosen = thriftiest(points, self.floor)
        sharpen(model, FALLBACK if chosen == "full" else float(chosen.split()[1]), SHARPNESS)
        return model

    def _new(self) -> ExitModel:
        return ExitModel(self.base, ExitConfig(every(1, self.base.n_layers), **EXITS), seed=self.seed)

    def _trained(self, name: str, model: ExitModel, train: Callable[[ExitModel, Path], Any]) -> ExitModel:
        saved = self.folder / name
        if saved.is_dir():
            return ExitModel.load(saved, self.base)
        for figures in train(model, self.folder / f"{name}.checkpoint"):
            if int(figures["step"]) % 20 == 0:
                told = " ".join(f"{key} {value:.3f}" for key, value in figures.items())
                self.report(f"seed {self.seed} {name}: {told}")
        model.save(saved)
        return model

    def _arm(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        file = self._file(name)
        if not file.is_file():
            self._keep(name, compute())
            self.report(f"seed {self.seed} {name}: done")
        kept: dict[str, Any] = json.loads(file.read_text())
        return kept

    def _tested(self, name: str, make: Callable[[], ExitModel], found: dict[str, Any]) -> dict[str, Any]:
        """The arm with the rules that are chosen at any tolerance on test questions."""
        validation = found["validation"]
        chosen = {
            thriftiest(validation, self.floor, kind, tolerated) for kind in ("gate", "gap") for tolerated in TOLERANCES
        }
        if missing := sorted({"full", *chosen} - set(found["test"])):
            model = make()
            rules = {**_gates(model), **_others(model)}
            found["test"] |= _points(model, {rule: rules[rule] for rule in missing}, self.test)
            self._keep(name, found)
        return found

    def _file(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '-')}.json"

    def _keep(self, name: str, found: dict[str, Any]) -> None:
        with atomic_write(self._file(name)) as new:
            new.write_text(json.dumps(found))

    def _points_of_base(self) -> dict[str, Any]:
        model = unadapted(self._new())
        full = {"full": Never()}
        validation = _points(model, {**full, **_others(model)}, self.validation)
        return {"validation": validation, "test": _points(model, full, self.test)}

    def _points_of_calibrated(self) -> dict[str, Any]:
        model = self.calibrated()
        others = _others(model)
        cuts = {name: rule for name, rule in others.items() if name.startswith("static")}
        own = free_run(unadapted(model), Never(), self.test, batch_size=BATCH)
        keys = [self.test.key(i, 0) for i in range(len(own.answers))]
        readouts = teacher_force(model, {}, own.traces, keys).readouts
        return {
            "validation": _points(model, {**_gates(model), **others}, self.validation),
            "test": _points(model, cuts, self.test),
            "oracle": first_agreeing(readouts, "teacher").mean_depth,
        }

    def _swept(self, model: ExitModel) -> dict[str, Any]:
        return {"validation": _points(model, _gates(model), self.validation), "test": {}}


def _gates(model: ExitModel) -> dict[str, ExitRule]:
    """Full depth and the gates' thresholds."""
    gate = GateConfidence(model)
    return {"full": Never(), **{f"gate {threshold:g}": Threshold(gate, threshold) for threshold in THRESHOLDS}}


def _others(model: ExitModel) -> dict[str, ExitRule]:
    """Static cuts and CALM's softmax gap."""
    cuts = {f"static {layer}": StaticCut(layer) for layer in model.config.layers}
    return {**cuts, **{f"gap {gap:g}": Threshold(SoftmaxGap(model), gap) for gap in GAPS}}


def _points(model: ExitModel, rules: Mapping[str, ExitRule], task: Task) -> dict[str, Point]:
    return {name: _point(model, rule, task) for name, rule in rules.items()}


def _point(model: ExitModel, rule: ExitRule, task: Task) -> Point:
    found = free_run(model, rule, task, batch_size=BATCH)
    success = [task.success(i, answer.tokens) for i, answer in enumerate(found.answers)]
    costs = [
        answer_cost(model, rule, len(prompt.ids), answer.depths)
        for prompt, answer in zip(found.prompts, found.answers, strict=True)
    ]
    passes, layers, macs, full_macs = map(sum, zip(*costs, strict=True))
    return {"accuracy": sum(success) / len(success), "depth": layers / passes, "macs_saved": 1 - macs / full_macs}
