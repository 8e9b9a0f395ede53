"""Early exit: what calibration and reinforcement save on arithmetic and on SmolLM2-135M, and what it costs."""

from __future__ import annotations

import sys

from arithmetic import FULL, QUICK, SEEDS, Study
from frontier import study_figures
from smollm2 import Committed

from forethought.bench import Figure, Options, script


def measure(options: Options) -> dict[str, Figure]:
    seeds = SEEDS[:1] if options.quick else SEEDS
    size = QUICK if options.quick else FULL
    folder = options.cache / ("quick" if options.quick else "study")
    studies = [Study(folder, size, seed, tell).points() for seed in seeds]
    return {**study_figures(studies), **Committed(options.cache, options.quick).figures()}


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(script("exits", measure, seed=0))
