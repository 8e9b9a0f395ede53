from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors

import forethought.activations.store as store_module
from forethought.activations import ActivationStore, Features, extract
from forethought.core import FeatureSpec
from forethought.errors import ArtifactError, FeatureError


@pytest.fixture
def store(tmp_path, encoder, questions):
    return extract(encoder, questions, tmp_path / "s", layers=(1, 2, 4), readouts=("last", "mean"), shard_size=10)


def shards(store, suffix="safetensors"):
    return sorted((store.path / "shards").glob(f"*.{suffix}"))


def test_reading_one_layer_opens_no_other_tensor(store, monkeypatch):
    asked = []

    class Spy:
        def __init__(self, path, framework):
            self.inner = safetensors.safe_open(path, framework=framework)

        def __enter__(self):
            self.inner.__enter__()
            return self

        def __exit__(self, *error):
            return self.inner.__exit__(*error)

        def get_tensor(self, name):
            asked.append(name)
            return self.inner.get_tensor(name)

    monkeypatch.setattr(store_module, "safe_open", Spy)
    store.block((2,), "mean", ["q0", "q22"])
    assert asked == ["2.mean", "2.mean"]


def test_unknown_question_layer_and_readout(store):
    with pytest.raises(FeatureError, match="'q99'"):
        store.block((1,), "last", ["q0", "q99"])
    with pytest.raises(FeatureError, match=r"layers \[3\]"):
        store.block((1, 3), "last", ["q0"])
    with pytest.raises(FeatureError, match="'first'"):
        store.block((1,), "first", ["q0"])
    with pytest.raises(FeatureError, match="'q99'"):
        store.lengths(["q99"])


def test_a_flipped_bit_is_found_when_its_tensor_is_read(store):
    path = shards(store)[0]
    body = bytearray(path.read_bytes())
    body[-5] ^= 1
    path.write_bytes(body)
    with pytest.raises(ArtifactError, match="altered"):
        store.verify()
    healthy, altered = 0, 0
    for layer in store.layers:
        for readout in store.readouts:
            try:
                store.block((layer,), readout)
                healthy += 1
            except ArtifactError:
                altered += 1
    assert (healthy, altered) == (5, 1)


def test_truncated_and_missing_shards(store):
    path = shards(store)[0]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="cannot be read"):
        store.block((1,), "last")
    path.unlink()
    with pytest.raises(ArtifactError, match="cannot be read"):
        store.block((1,), "last")


def test_whole_store_verifies(store):
    store.verify()


@pytest.mark.parametrize("body", ["{", "[]", '{"schema_version": 99}', '{"schema_version": 1}'])
def test_unreadable_index(store, body):
    (store.path / "index.json").write_text(body)
    with pytest.raises(ArtifactError):
        ActivationStore(store.path)


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"name": "other", "questions": {}, "tensors": {}}'])
def test_unreadable_shard_line(store, body):
    shards(store, "json")[0].write_text(body)
    with pytest.raises(ArtifactError):
        ActivationStore(store.path)


def test_no_store(tmp_path):
    with pytest.raises(ArtifactError, match="no activation store"):
        ActivationStore(tmp_path)


def test_index_says_what_the_vectors_mean(store, encoder):
    index = json.loads((store.path / "index.json").read_text())
    assert index["encoder"] == store.encoder == "tiny"
    assert (index["layers"], index["window"], index["stored"]) == ([1, 2, 4], encoder.window, "float32")


def spec(**change):
    return FeatureSpec(**{"encoder": "e", "weights": "w", "template": "t", "layers": (1,), "readout": "last", **change})


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": "x"},
        {"weights": "x"},
        {"template": "x"},
        {"layers": (2,)},
        {"readout": "mean"},
        {"dtype": "bfloat16"},
    ],
)
def test_features_of_another_spec_are_refused(change):
    features = Features(spec(), ("a",), np.zeros((1, 3), np.float32))
    assert features.require(spec()) is features.values
    with pytest.raises(FeatureError, match=next(iter(change))):
        features.require(spec(**change))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_are_finite(value):
    with pytest.raises(FeatureError, match="'b'"):
        Features(spec(), ("a", "b"), np.array([[0.0], [value]], np.float32))


def test_features_have_a_row_an_id():
    with pytest.raises(FeatureError, match="one row a question id"):
        Features(spec(), ("a", "b"), np.zeros((3, 1), np.float32))
