"""`import forethought` and the help of the command stay light: heavy libraries load where they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "sklearn", "scipy", "polars", "matplotlib", "ray", "numpy")
PROGRAM = """
import sys, time
start = time.process_time()
{statement}
spent = time.process_time() - start
print(f"{{spent:.3f}} CPU seconds")
print(*(name for name in {heavy} if name in sys.modules))
"""


def loaded_by(statement: str, heavy: tuple[str, ...]) -> list[str]:
    program = PROGRAM.format(statement=statement, heavy=heavy)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    spent, names = done.stdout.splitlines()[-2:]
    print(f"{statement}: {spent}")
    return names.split()


def test_the_check_sees_what_is_loaded():
    assert loaded_by("import numpy", HEAVY) == ["numpy"]


@pytest.mark.parametrize(
    "package",
    ["forethought", "forethought.metrics", "forethought.probes", "forethought.allocation", "forethought.evaluation"],
)
def test_a_door_opens_without_heavy_libraries(package):
    assert loaded_by(f"import {package}", HEAVY) == []


def test_the_command_line_starts_without_heavy_libraries():
    assert loaded_by("import forethought.cli, forethought.cli.route", HEAVY) == []


def test_a_decision_needs_no_training_library(tmp_path, fitted, planted):
    """Loading a saved router and deciding on given features uses neither torch nor scikit-learn's estimators."""
    fitted.router.save(tmp_path / "router")
    statement = (
        "import numpy as np; from forethought import Router; "
        f"r = Router.load({str(tmp_path / 'router')!r}); s = r.heads.features; "
        "blocks = [np.zeros((1, 12), np.float32) for _ in s.specs] + [s.text.transform(['a question'])]; "
        "assert r.decide(blocks, 5.0).target in r.heads.names"
    )
    assert loaded_by(statement, ("torch", "transformers", "polars", "matplotlib")) == []
