from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import forethought.outcomes
import forethought.outcomes.importers


@pytest.mark.parametrize("package", [forethought.outcomes, forethought.outcomes.importers])
def test_every_listed_name_is_there_and_the_list_is_sorted(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]

    assert names == sorted(names)
    assert dir(package) == names
    assert not [name for name in names if isinstance(getattr(package, name), ModuleType)]


@pytest.mark.parametrize("package", ["forethought.outcomes", "forethought.outcomes.importers"])
def test_importing_the_door_loads_nothing_heavy(package: str) -> None:
    probe = f"import {package}, sys; print([n for n in ('polars', 'numpy', 'scipy') if n in sys.modules])"

    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = forethought.outcomes.absent
