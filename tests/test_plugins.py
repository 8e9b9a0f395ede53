"""A real distribution adds an encoder, a scorer, a grader, a policy and a stopping rule, and they serve."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from forethought.artifacts import load_artifact
from forethought.errors import ConfigError
from forethought.router import Router

PACKAGE = Path(__file__).parent / "plugin_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The plugin's wheel, built by its own backend and installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "source"
    # A build writes beside its sources: a copy keeps the checkout clean.
    shutil.copytree(PACKAGE, source)
    # pip fetches the build backend itself where the environment does not have it.
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *isolation]
    done = subprocess.run([*pip, "--target", str(folder / "site"), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def used(site, fitted, tmp_path_factory):
    """What a process that has the plugin installed prints, and the router that it saved."""
    folder = tmp_path_factory.mktemp("plugin")
    fitted.router.save(folder / "own")
    script = [sys.executable, str(PACKAGE / "use.py"), str(folder / "own"), str(folder / "foreign")]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(script, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder / "foreign"


def test_plugins_read_score_and_decide(used):
    """The encoder counts letters, the scorer likes the k-th target best at k letters a, the policy takes the best."""
    found, _ = used
    assert found["targets"] == ["north", "south", "dear"]
    assert found["rule"] == "rank"
    assert found["reason"].endswith("the one of that rank")
    assert found["encoder"] == "forethought_test_plugin.encoder"
    assert found["scorer"] == "forethought_test_plugin.scorer"


def test_a_plugin_grader_grades(used):
    assert used[0]["grades"] == ["right", "wrong", "unparsable"]


def test_a_plugin_stopping_rule_stops_a_vote(used):
    """Of draws that half the time cannot be read, two running take so many draws, of 6 at most."""
    found, _ = used
    assert found["votes"] == [False, False, False, False, True]
    assert found["answer"] == "b"
    assert found["samples"] == pytest.approx(2 + 3 / 4 + 5 / 8 + 8 / 16 + 13 / 32)


def test_plugins_stand_beside_the_built_in_names(used):
    assert {"argmax", "rank", "value"} <= set(used[0]["policies"])
    assert {"sequential", "twice-running"} <= set(used[0]["stopping_rules"])


def test_without_the_plugin_its_artifact_is_refused_by_name(used):
    manifest, _, _ = load_artifact(used[1])
    assert manifest["scorer"]["kind"] == "nearest-centre"
    with pytest.raises(ConfigError, match=r"'(rank|nearest-centre)'"):
        Router.load(used[1])
