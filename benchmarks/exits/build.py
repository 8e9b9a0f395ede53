"""Rebuild the committed exits of SmolLM2-135M: stage 1, gates, stage 2, threshold; two to three hours on one core."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from forethought.cli.exit_questions import Parts, Source
from forethought.cli.exit_training import certificate
from forethought.core import Question
from forethought.early_exit import (
    CalibrationConfig,
    ExitConfig,
    ExitModel,
    GateConfidence,
    GateFitConfig,
    Never,
    ReinforcementConfig,
    RiskBound,
    Task,
    Threshold,
    calibrate,
    certify_threshold,
    fit_gates,
    fit_maps,
    free_run,
    look,
    record_traces,
    reinforce,
    sharpen,
    unadapted,
)
from forethought.models import load

MODEL = "smollm2-135m-instruct"
EXITS = ExitConfig((12, 15, 18, 21, 24, 27), "mlp", 64, map_rank=128, adapter_rank=16, adapter_alpha=32.0)
SAMPLES, TEMPERATURE = 8, 0.7
STAGE_1 = CalibrationConfig(steps=110, batch=64, kappa=2.0, adapter_rate=6e-4, head_rate=1e-3, reduced=True)
GATES = GateFitConfig(epochs=30, batch=256, rate=1e-3, decay=1.0)
STAGE_2 = ReinforcementConfig(
    steps=36, price=0.3, anchor=0.5, beta=0.1, temperature=0.7, adapter_rate=3e-4, gate_rate=5e-4, reduced=True
)
EXPLORED, SHARPNESS = 0.95, 2.0
"""Threshold that rollouts explore around, and how sharply."""
THRESHOLDS = (0.9, 0.7, 0.5, 0.3, 0.2)
"""From safe to thrifty: of sharpened gates, where 1/2 is the threshold that was explored around."""
TOLERATED = 0.01
"""Accuracy that the chosen threshold may lose on the validation part."""


def build(out: Path) -> None:
    torch.set_num_threads(1)
    base = load(MODEL)
    source = Source.of(MODEL, None, None, 0)
    policy, parts = source.policy(None, None), Parts.read(source)

    def task(questions: Sequence[Question]) -> Task:
        return Task(base, policy, questions)

    work = out.with_name(f"{out.name}.work")
    train = task(parts.train)
    sampled = record_traces(train, work / "traces", samples=SAMPLES, temperature=TEMPERATURE)
    greedy = record_traces(train, work / "traces", samples=1, temperature=0.0)
    model = ExitModel(base, EXITS)
    fit_maps(model, sampled[:500], ridge=0.01)
    told(calibrate(model, sampled, STAGE_1, checkpoint=work / "calibrate"))
    fit_gates(model, look(model, greedy[:650]), GATES)
    sharpen(model, EXPLORED, SHARPNESS)
    told(reinforce(model, train, STAGE_2, checkpoint=work / "reinforce"))
    finish(model, task(parts.certify), parts, out)


def finish(model: ExitModel, validation: Task, parts: Parts, out: Path) -> None:
    """Choose and certify a threshold on the validation part for what is stored, and store it."""
    model.load_state({name: tensor.half().float() for name, tensor in model.state().items()})
    bound = RiskBound("success", tolerance=0.02, delta=0.1)
    certified = certify_threshold(model, validation, bound, thresholds=THRESHOLDS)
    chosen = chosen_threshold(model, validation)
    served = (
        None if certified.threshold is None else max(certified.threshold, chosen)
    )  # all safer ones are certified too
    report = {
        "stage": "reinforce",
        "calibrate": {**asdict(STAGE_1), "samples": SAMPLES, "temperature": TEMPERATURE},
        "gates": asdict(GATES),
        "reinforce": asdict(STAGE_2),
        "questions": parts.describe(),
        "policy": asdict(validation.policy),
        "threshold": served,
        "chosen": chosen,
        "certificate": certificate(certified),
    }
    model.save(out, report=report, half=True)


def chosen_threshold(model: ExitModel, validation: Task) -> float:
    """The lowest threshold that loses at most a point on the validation part; 1 where none does."""
    unmodified = accuracy(unadapted(model), Never(), validation)
    for threshold in sorted(THRESHOLDS):
        if accuracy(model, Threshold(GateConfidence(model), threshold), validation) >= unmodified - TOLERATED:
            return threshold
    return 1.0


def accuracy(model: ExitModel, rule: Threshold | Never, task: Task) -> float:
    answers = free_run(model, rule, task).answers
    return sum(task.success(i, answer.tokens) for i, answer in enumerate(answers)) / len(answers)


def told(figures: Iterator[dict[str, float]]) -> None:
    for step in figures:
        print({name: round(value, 3) for name, value in step.items()}, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the new artifact; work in progress lies beside it")
    build(parser.parse_args().out)
