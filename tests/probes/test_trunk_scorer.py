from __future__ import annotations

import numpy as np
import pytest

from forethought.errors import ArtifactError, FeatureError
from forethought.probes import SharedTrunkNet, TrunkTraining
from forethought.probes.base import scorer_from_state
from forethought.probes.trunk_scorer import TrunkScorer


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 24)) * np.linspace(1, 50, 24) + 1000
    Y = (rng.random((300, 3)) < 0.5).astype(float)
    return X, SharedTrunkNet(6, seeds=(0, 1), training=TrunkTraining(max_epochs=5)).fit(X, Y).scorer()


def test_state_rebuilds_the_same_scorer(fitted, tmp_path):
    from safetensors.numpy import load_file, save_file

    X, scorer = fitted
    meta, arrays = scorer.calibrated(np.array([1.0, 2.0, 0.5]), np.array([0.0, 0.1, -0.2])).state()
    save_file(arrays, tmp_path / "trunk.safetensors")
    again = scorer_from_state(meta, load_file(tmp_path / "trunk.safetensors"))
    np.testing.assert_array_equal(
        again.predict_proba([X]), scorer.calibrated(arrays["scale"], arrays["offset"]).predict_proba([X])
    )


def test_calibration_is_affine_on_the_logit(fitted):
    X, scorer = fitted
    scale, offset = np.array([0.5, 1.0, 2.0]), np.array([0.3, 0.0, -1.0])
    p, q = scorer.predict_proba([X]), scorer.calibrated(scale, offset).predict_proba([X])
    np.testing.assert_allclose(np.log(q / (1 - q)), scale * np.log(p / (1 - p)) + offset, atol=1e-9)


def test_batch_and_order_change_nothing(fitted):
    X, scorer = fitted
    whole = scorer.predict_proba([X])
    np.testing.assert_allclose(np.vstack([scorer.predict_proba([row[None]]) for row in X[:20]]), whole[:20], atol=1e-6)
    np.testing.assert_allclose(scorer.predict_proba([X[::-1]]), whole[::-1], atol=1e-6)


def test_blocks_are_put_side_by_side(fitted):
    X, scorer = fitted
    np.testing.assert_array_equal(scorer.predict_proba([X[:, :10], X[:, 10:]]), scorer.predict_proba([X]))


def test_unfit_features_are_refused(fitted):
    X, scorer = fitted
    with pytest.raises(FeatureError, match="24"):
        scorer.predict_proba([X[:, :23]])
    with pytest.raises(FeatureError, match="NaN"):
        scorer.predict_proba([np.where(X[0, 0] == X, np.nan, X)])


def test_incomplete_state_is_refused(fitted):
    meta, arrays = fitted[1].state()
    del arrays["weight2"]
    with pytest.raises(ArtifactError, match="weight2"):
        TrunkScorer.from_state(meta, arrays)
