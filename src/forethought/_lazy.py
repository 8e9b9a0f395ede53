"""Doors that open only the room asked for: lazy package members (after PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


def attach(package: str, members: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and a sorted `__all__` for a package's `__init__`.

    Args:
        package: The package's `__name__`.
        members: Public name -> submodule that defines it.
    """
    names = sorted(members)
    sys.modules[package].__class__ = _door(frozenset(members))

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in members:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{members[name]}"), name)

    def __dir__() -> list[str]:  # noqa: N807
        return names

    return __getattr__, __dir__, names


def _door(members: frozenset[str]) -> type[ModuleType]:
    """A module that does not let a submodule take the place of a member of the same name.

    Importing `package.spearman` binds that module as `package.spearman`, which would hide the
    function of this name; `__getattr__` is only asked for names that are not bound.
    """

    class Door(ModuleType):
        def __setattr__(self, name: str, value: Any) -> None:
            if not (name in members and isinstance(value, ModuleType)):
                super().__setattr__(name, value)

    return Door
