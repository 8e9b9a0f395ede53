import importlib
import subprocess
import sys

import forethought.metrics as metrics


def test_names_are_sorted_and_stay_what_they_are():
    assert metrics.__all__ == sorted(metrics.__all__)
    for _ in range(2):
        for name in metrics.__all__:
            assert not isinstance(getattr(metrics, name), type(importlib)), f"{name} is hidden by its own submodule"


def test_opening_the_door_loads_nothing_heavy():
    code = "import sys, forethought.metrics; print([m for m in ('scipy', 'sklearn', 'numpy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
