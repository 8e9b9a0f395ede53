import sys

import numpy as np
import pytest

import forethought.allocation as allocation
from forethought.allocation import policies, policy_from
from forethought.errors import ConfigError
from forethought.registry import Registry


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """An installed distribution that brings a policy, as pip would leave it."""
    (tmp_path / "dearest_plugin.py").write_text(
        "class Dearest:\n"
        "    name, setting, because = 'dearest', {}, 'the dearest'\n"
        "    def choose(self, success, cost):\n"
        "        return cost.argmax(axis=1)\n"
    )
    info = tmp_path / "dearest_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dearest-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[forethought.policies]\ndearest = dearest_plugin:Dearest\nargmax = dearest_plugin:Dearest\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("dearest_plugin", None)
    policies._loaded.pop("dearest", None)


@pytest.mark.usefixtures("distribution")
def test_a_plugin_adds_a_policy_and_cannot_replace_one():
    assert "dearest" in policies.names
    assert "dearest_plugin" not in sys.modules
    assert policy_from("dearest", {}).choose(np.ones((1, 2)), np.array([[1.0, 2.0]])).tolist() == [1]
    assert policy_from("argmax", {}) == allocation.Argmax()


def test_without_the_plugin_it_is_unknown():
    with pytest.raises(ConfigError, match="unknown policy 'dearest'"):
        policy_from("dearest", {})


def test_an_entry_is_imported_once_and_only_when_asked_for():
    registry = Registry(
        "mapping", "forethought.none", {"broken": "no_such_module:x", "ordered": "collections:OrderedDict"}
    )
    assert registry.names == ["broken", "ordered"]
    assert "ordered" in registry
    assert "other" not in registry
    assert registry["ordered"] is registry["ordered"]
    with pytest.raises(ModuleNotFoundError):
        registry["broken"]


def test_an_empty_registry_says_so():
    with pytest.raises(ConfigError, match="none installed"):
        Registry("thing", "forethought.nothing", {})["x"]


def test_names_stay_what_they_are():
    assert allocation.__all__ == sorted(allocation.__all__)
    for _ in range(2):
        for name in allocation.__all__:
            assert not isinstance(getattr(allocation, name), type(sys)), f"{name} is hidden by its own submodule"
