"""Learning to spend: does a small decoder that IBPO trains hold its budget, and what does it buy?"""

from __future__ import annotations

import sys
from pathlib import Path

from figures import Seed, study_figures
from study import FULL, QUICK, SEEDS, Study
from tables import read_seed, read_study, write_seed

from forethought.bench import Figure, Options, script
from forethought.errors import ConfigError

TABLES = Path(__file__).parent / "tables"
SOME = ("smoothed-0.25", "raw-0.25", "price-0.05")
"""Arms of the quick form."""
VARIANTS = ("committed", "rerun", "study")


def measure(options: Options) -> dict[str, Figure]:
    """Figures of the committed tables; `rerun` computes seed 0 anew, `study` every seed, and packs the tables."""
    if options.quick or options.variant == "rerun":
        return study_figures([_run(options, 0)])
    if options.variant == "study":
        for seed in SEEDS:
            write_seed(_run(options, seed), TABLES / f"seed-{seed}.npz")
    found = sorted(TABLES.glob("seed-*.npz"))
    if not found:
        raise ConfigError(f"{TABLES} holds no tables: make them by --variant study")
    return study_figures([read_seed(path) for path in found])


def _run(options: Options, seed: int) -> Seed:
    study = Study(options.cache, QUICK if options.quick else FULL, seed, tell)
    study.run(SOME if options.quick else None)
    return read_study(study)


def tell(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(script("ibpo", measure, seed=0, variants=VARIANTS))
