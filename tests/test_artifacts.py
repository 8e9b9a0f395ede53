from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from forethought.artifacts import atomic_directory, atomic_write, load_artifact, save_artifact
from forethought.errors import ArtifactError, ForethoughtError

CROWDED = """
import resource, signal, sys
import numpy as np
from forethought.artifacts import save_artifact
from forethought.errors import ArtifactError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    save_artifact(sys.argv[1], {"new": True}, {"x": np.zeros(10_000)}, words="[" + "1," * 3000 + "1]")
except ArtifactError as error:
    print("refused:", error)
"""


def test_round_trip(tmp_path):
    tensors = {"a": np.arange(6.0).reshape(2, 3), "t": np.arange(6.0).reshape(2, 3).T}
    name = save_artifact(tmp_path / "a", {"pair": (1, 2), "nested": {"x": 0.1, "10": None}}, tensors, words='["é"]')
    manifest, found, again = load_artifact(tmp_path / "a")
    assert name == again
    assert manifest["pair"] == [1, 2]
    assert manifest["nested"] == {"x": 0.1, "10": None}
    assert set(manifest["files"]) == {"tensors.safetensors", "words.json"}
    for key, value in tensors.items():
        np.testing.assert_array_equal(found[key], value)


def test_equal_content_gives_an_equal_hash(tmp_path):
    first = save_artifact(tmp_path / "a", {"b": 1, "a": 2}, {"x": np.ones(3)})
    assert save_artifact(tmp_path / "b", {"a": 2, "b": 1}, {"x": np.ones(3)}) == first
    assert save_artifact(tmp_path / "c", {"a": 2, "b": 1}, {"x": np.ones(3) * 2}) != first


def test_saving_replaces_the_whole_directory(tmp_path):
    save_artifact(tmp_path / "a", {"n": 1}, {"x": np.ones(3)}, words="[]")
    save_artifact(tmp_path / "a", {"n": 2}, {"x": np.ones(3)})
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["manifest.json", "tensors.safetensors"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("room", [1000, 90_000])
def test_a_full_disk_is_said_and_the_old_artifact_stays(tmp_path, room):
    """At the first size the tensors do not fit; at the second they do, barely."""
    before = save_artifact(tmp_path / "a", {"new": False}, {"x": np.ones(3)})
    command = [sys.executable, "-c", CROWDED, str(tmp_path / "a"), str(room)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if room == 1000:
        assert done.stdout.startswith("refused: cannot write")
        assert load_artifact(tmp_path / "a")[2] == before
    else:
        assert load_artifact(tmp_path / "a")[0]["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_manifest_cannot_reach_outside_its_folder(tmp_path):
    save_artifact(tmp_path / "a", {}, {"x": np.ones(1)})
    manifest = tmp_path / "a" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"tensors.safetensors"', '"../a/tensors.safetensors"'))
    with pytest.raises(ArtifactError):
        load_artifact(tmp_path / "a")


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"schema_version": 1}', '{"schema_version": "1", "files": {}}']
)
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    save_artifact(tmp_path / "a", {}, {"x": np.ones(1)})
    (tmp_path / "a" / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"manifest|schema version"):
        load_artifact(tmp_path / "a")


def test_every_value_of_a_manifest_is_sealed(tmp_path):
    save_artifact(tmp_path / "a", {"delta": 0.1}, {"x": np.ones(1)})
    path = tmp_path / "a" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "delta": 0.2}))
    with pytest.raises(ArtifactError, match="altered"):
        load_artifact(tmp_path / "a")


def fail_after(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError("half way")


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="half way"), atomic_write(tmp_path / "file") as temporary:
        fail_after(temporary)
    with pytest.raises(RuntimeError, match="half way"), atomic_directory(tmp_path / "folder") as folder:
        fail_after(folder / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_is_not_writable_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ArtifactError, match="cannot write"), atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("x")


def test_a_file_where_a_folder_is_needed_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ForethoughtError, match="cannot write"):
        save_artifact(tmp_path / "file" / "a", {}, {"x": np.ones(1)})
