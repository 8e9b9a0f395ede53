r"""Rebuild the committed exits of SmolLM2-135M: stage 1, gates, stage 2, threshold; two to three hours on one core.

The same as these two commands, but for what is printed. Maps and gates are fitted on at most 20,000 passes; those of
the committed exits were fitted on the passes of 500 and of 650 answers:

    forethought exits calibrate OUT.calibrated --layers 12 15 18 21 24 27 --gate mlp --gate-units 64 --map-rank 128 \
        --adapter-rank 16 --adapter-alpha 32 --steps 110 --batch 64 --samples 8 --kappa 2 --adapter-rate 6e-4 \
        --ridge 0.01 --reduced --gate-epochs 30 --gate-batch 256 --gate-fit-rate 1e-3 --gate-decay 1 \
        --gate-answers greedy
    forethought exits reinforce OUT.calibrated OUT --sharpen 0.95 --sharpness 2 --steps 36 --lambda 0.3 --beta 0.1 \
        --anchor 0.5 --temperature 0.7 --gate-rate 5e-4 --reduced --thresholds 0.9 0.7 0.5 0.3 0.2 --half
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from forethought.early_exit import (
    Calibration,
    CalibrationConfig,
    Certification,
    ExitConfig,
    ExitModel,
    ExitRun,
    GateFitConfig,
    Parts,
    Reinforcement,
    ReinforcementConfig,
    RiskBound,
    SavedExits,
    Source,
    check_free,
)
from forethought.models import load

MODEL = "smollm2-135m-instruct"
EXITS = ExitConfig((12, 15, 18, 21, 24, 27), "mlp", 64, map_rank=128, adapter_rank=16, adapter_alpha=32.0)
STAGE_1 = Calibration(
    CalibrationConfig(steps=110, batch=64, kappa=2.0, adapter_rate=6e-4, head_rate=1e-3, reduced=True),
    samples=8,
    temperature=0.7,
    ridge=0.01,
    gates=GateFitConfig(epochs=30, batch=256, rate=1e-3, decay=1.0),
    gate_answers="greedy",
)
STAGE_2 = Reinforcement(
    ReinforcementConfig(
        steps=36, price=0.3, anchor=0.5, beta=0.1, temperature=0.7, adapter_rate=3e-4, gate_rate=5e-4, reduced=True
    ),
    around=0.95,
    sharpness=2.0,
)
BOUND = RiskBound("success", tolerance=0.02, delta=0.1)
THRESHOLDS = (0.9, 0.7, 0.5, 0.3, 0.2)
"""From safe to thrifty: of sharpened gates, where 1/2 is the threshold that was explored around."""


def build(out: Path) -> str:
    """Make the exits, from where a killed run of this was, and return what is certified of them."""
    torch.set_num_threads(1)
    check_free(out)
    source = Source.of(MODEL, None, None, 0)
    policy, parts = source.policy(None, None), Parts.read(source)
    model = ExitModel(load(MODEL), EXITS)
    calibrated = out.with_name(f"{out.name}.calibrated")
    if not calibrated.is_dir():
        ExitRun(model, parts, policy, calibrated, Certification(BOUND), progress=printed).calibrate(STAGE_1)
    start = SavedExits.read(calibrated)
    model = ExitModel.load(calibrated, model.base)
    run = ExitRun(model, parts, policy, out, Certification(BOUND, THRESHOLDS, half=True), progress=printed)
    return str(run.reinforce(STAGE_2, start)["certificate"]["sentence"])


@contextmanager
def printed(label: str) -> Iterator[object]:
    """A line a report."""
    yield lambda done, total, text="": print(f"{label} {done}/{total} {text}".rstrip(), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the new artifact; work in progress lies beside it")
    print(build(parser.parse_args().out))
