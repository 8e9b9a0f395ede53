from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import forethought.activations.extraction as extraction
from forethought.activations import ActivationStore, TransformersEncoder, extract
from forethought.core import Question
from forethought.errors import ArtifactError, ConfigError, DataError, FeatureError

SETTINGS = {"layers": (0, 2, 4), "readouts": ("last", "mean"), "shard_size": 4}


def contents(store):
    return {path.name: path.read_bytes() for path in sorted((store / "shards").iterdir())}


def test_round_trip_in_any_order(tmp_path, encoder, questions):
    store = extract(encoder, questions, tmp_path / "s")
    assert store.layers == (0, 1, 2, 3, 4)
    assert store.readouts == encoder.readouts
    assert sorted(store.question_ids) == sorted(q.id for q in questions)
    ids = [q.id for q in questions][::-3]
    states = encoder.encode(questions[::-3], layers=(1, 3), readouts=("mean",))
    features = store.block((3, 1), "mean", ids)
    np.testing.assert_allclose(features.values, states[:, ::-1, 0].reshape(len(ids), -1), rtol=1e-4, atol=1e-5)
    assert features.spec == encoder.spec((3, 1), "mean")
    assert features.question_ids == tuple(ids)
    np.testing.assert_array_equal(store.lengths(ids), encoder.lengths(questions[::-3]))


def test_report_reaches_the_total(tmp_path, encoder, questions):
    seen = []
    extract(encoder, questions, tmp_path / "s", **SETTINGS, report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (23, 23)
    assert [done for done, _ in seen] == [4, 8, 12, 16, 20, 23]


@pytest.mark.parametrize("event", range(1, 25, 3))
def test_killed_run_resumes_to_the_same_bytes(tmp_path, hashing, event):
    """Killed before, amid and after the tensors, and before the line that records them."""
    hashing["run"](tmp_path / "whole")
    killed = tmp_path / "killed"
    process = subprocess.run([sys.executable, hashing["__file__"], "die", str(killed), str(event)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert len(ActivationStore(killed).question_ids) == (event - 1) // 4 * 4
    ActivationStore(killed).verify()
    hashing["run"](killed)
    assert contents(killed) == contents(tmp_path / "whole")


def test_resumed_forward_passes_give_the_same_bytes(tmp_path, encoder, questions):
    extract(encoder, questions, tmp_path / "whole", **SETTINGS)
    store = tmp_path / "torn"
    extract(encoder, questions, store, **SETTINGS)
    for path in sorted((store / "shards").iterdir())[3:9]:
        path.unlink()
    extract(encoder, questions, store, **SETTINGS)
    assert contents(store) == contents(tmp_path / "whole")


def test_finished_shards_are_not_computed_again(tmp_path, encoder, questions, monkeypatch):
    extract(encoder, questions, tmp_path, **SETTINGS)
    monkeypatch.setattr(TransformersEncoder, "encode", lambda *_, **__: pytest.fail("computed again"))
    extract(encoder, questions, tmp_path, **SETTINGS)


def test_parts_of_an_array_job_make_the_same_store(tmp_path, encoder, questions):
    extract(encoder, questions, tmp_path / "one", **SETTINGS)
    for part in range(3):
        extract(encoder, questions, tmp_path / "three", **SETTINGS, shard=(part, 3))
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_more_questions_can_be_added(tmp_path, encoder, questions):
    extract(encoder, questions[:10], tmp_path, **SETTINGS)
    first = ActivationStore(tmp_path).block((2,), "mean", ["q9"]).values
    store = extract(encoder, questions, tmp_path, **SETTINGS)
    assert len(store.question_ids) == 23
    np.testing.assert_allclose(store.block((2,), "mean", ["q9"]).values, first, rtol=1e-4, atol=1e-5)


def test_an_id_may_not_change_its_text(tmp_path, encoder, questions):
    extract(encoder, questions, tmp_path, **SETTINGS)
    with pytest.raises(FeatureError, match="'q3' has other messages"):
        extract(encoder, [Question.ask("Another?", id="q3")], tmp_path, **SETTINGS)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"layers": (0, 2)}, "layers"), ({"readouts": ("last",)}, "readouts"), ({"dtype": "float16"}, "stored")],
)
def test_store_of_another_layout_is_refused(tmp_path, encoder, questions, change, named):
    extract(encoder, questions[:4], tmp_path, **SETTINGS)
    with pytest.raises(FeatureError, match=named):
        extract(encoder, questions, tmp_path, **{**SETTINGS, **change})


def test_store_of_other_weights_is_refused(tmp_path, encoder, questions, make_llama):
    extract(encoder, questions[:4], tmp_path, **SETTINGS)
    with pytest.raises(FeatureError, match="weights is 'seed0', not 'seed1'"):
        extract(TransformersEncoder(make_llama(seed=1)), questions[:4], tmp_path, **SETTINGS)


def test_float16_halves_the_file_and_never_clips(tmp_path, encoder, questions, make_llama):
    full = extract(encoder, questions, tmp_path / "full", **SETTINGS)
    half = extract(encoder, questions, tmp_path / "half", **SETTINGS, dtype="float16")
    exact = full.block((4,), "last").values
    np.testing.assert_allclose(half.block((4,), "last", full.question_ids).values, exact, rtol=1e-3, atol=1e-3)
    model = make_llama()
    model.model.model.layers[0].mlp.down_proj.weight.data *= 1e9
    with pytest.raises(FeatureError, match="float16 holds 65504"):
        extract(TransformersEncoder(model), questions[:4], tmp_path / "over", **SETTINGS, dtype="float16")
    assert not list((tmp_path / "over").glob("shards/*"))


@pytest.mark.parametrize("allowed", [100, 1000])
def test_disk_full_is_a_clear_error_and_leaves_nothing_half_written(tmp_path, hashing, allowed):
    """A file size limit makes the kernel refuse the write, as a full disk does."""
    command = [sys.executable, hashing["__file__"], "full", str(tmp_path / "s"), str(allowed)]
    process = subprocess.run(command, check=True, capture_output=True, text=True)
    assert process.stdout.startswith("refused: cannot write")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "index.json"]


def test_no_room_from_the_file_system(tmp_path, encoder, questions, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(extraction, "save_file", full)
    with pytest.raises(ArtifactError, match="No space left"):
        extract(encoder, questions, tmp_path, **SETTINGS)


def test_duplicate_and_missing_questions(tmp_path, encoder, questions):
    with pytest.raises(DataError, match="'q1' occurs twice"):
        extract(encoder, [*questions, questions[1]], tmp_path, **SETTINGS)
    with pytest.raises(DataError, match="no questions"):
        extract(encoder, [], tmp_path, **SETTINGS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change", [{"shard": (2, 2)}, {"shard": (-1, 2)}, {"shard_size": 0}, {"dtype": "int8"}, {"layers": (1, 1)}]
)
def test_settings_out_of_range(tmp_path, encoder, questions, change):
    with pytest.raises(ConfigError, match=r"got"):
        extract(encoder, questions, tmp_path, **{**SETTINGS, **change})


def test_layers_the_encoder_lacks(tmp_path, encoder, questions):
    with pytest.raises(FeatureError, match="layers 0 to 4"):
        extract(encoder, questions, tmp_path, layers=(9,))
