from __future__ import annotations

import subprocess
import sys

import forethought.probes
from forethought.probes.base import SCORERS


def test_every_name_of_the_door_opens() -> None:
    for name in forethought.probes.__all__:
        assert getattr(forethought.probes, name).__name__ == name


def test_every_scorer_says_the_kind_it_is_registered_under() -> None:
    for kind in ("linear", "tokens", "trunk"):
        assert SCORERS[kind].kind == kind


def test_serving_loads_nothing_that_trains() -> None:
    code = (
        "import sys, forethought.probes as p; p.LinearScorer; p.scorer_from_state;"
        "print([m for m in ('torch', 'sklearn', 'scipy', 'polars') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
