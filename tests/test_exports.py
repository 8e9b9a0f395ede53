"""Every package's door: sorted, complete, and nothing behind it missing."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import forethought

SOURCE = Path(forethought.__file__).parent
PACKAGES = [
    "forethought",
    *(found.name for found in pkgutil.walk_packages(forethought.__path__, "forethought.") if found.ispkg),
]
DOORS = [name for name in PACKAGES if hasattr(importlib.import_module(name), "__all__")]


def typed_names(name: str) -> set[str]:
    """Names that a door re-imports for type checkers."""
    tree = ast.parse(Path(str(importlib.import_module(name).__file__)).read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {
        alias.asname or alias.name
        for block in blocks
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_main_packages_have_doors():
    assert {f"forethought.{p}" for p in ("activations", "allocation", "evaluation", "metrics", "router")} <= set(DOORS)


@pytest.mark.parametrize("name", DOORS)
def test_the_door_is_sorted_and_every_name_opens(name):
    door = importlib.import_module(name)
    assert list(door.__all__) == sorted(set(door.__all__))
    assert set(door.__all__) <= set(dir(door))
    for member in door.__all__:
        assert getattr(door, member) is not None


@pytest.mark.parametrize("name", DOORS)
def test_type_checkers_see_what_the_door_opens(name):
    door = importlib.import_module(name)
    assert sorted(typed_names(name)) == list(door.__all__)


@pytest.mark.parametrize("name", DOORS)
def test_an_unknown_name_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match="no_such_thing"):
        getattr(importlib.import_module(name), "no_such_thing")  # noqa: B009
