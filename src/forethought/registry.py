"""Named things that third parties can add to by entry points."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from forethought.errors import ConfigError

T = TypeVar("T")


class Registry(Generic[T]):
    """Look things up by name; each is imported the first time it is asked for.

    Example:
        >>> mappings = Registry[type]("mapping", "forethought.mappings", {"ordered": "collections:OrderedDict"})
        >>> mappings["ordered"].__name__
        'OrderedDict'

    Args:
        kind: What is kept here, in the singular, for error messages.
        group: Entry point group that other distributions add to.
        builtin: Name -> `module:attribute` of what the project itself ships. A plugin cannot
            take one of these names, so installing a distribution never changes a decision.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)
        self._loaded: dict[str, T] = {}

    @property
    def names(self) -> list[str]:
        """Every name that can be asked for, sorted; plugins are listed, not imported."""
        return sorted({*self._builtin, *entry_points(group=self.group).names})

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> T:
        """Return what stands under `name`.

        Raises:
            ConfigError: No built-in and no installed plugin has that name.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> T:
        if name in self._builtin:
            module, _, attribute = self._builtin[name].partition(":")
            return cast(T, getattr(importlib.import_module(module), attribute))
        for point in entry_points(group=self.group, name=name):
            return cast(T, point.load())
        raise ConfigError(f"unknown {self.kind} {name!r}; allowed: {', '.join(self.names) or 'none installed'}")
