from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from forethought.errors import FeatureError
from forethought.probes.layer_mean import LayerMean


def test_is_the_mean_of_standardised_layers():
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=(50, 4)) * scale + scale for scale in (1, 10, 1000)]
    expected = np.mean([StandardScaler().fit_transform(layer) for layer in layers], axis=0)
    np.testing.assert_allclose(LayerMean(3).fit_transform(np.hstack(layers)), expected, atol=1e-9)


def test_constant_features_give_zero():
    assert (LayerMean(2).fit_transform(np.full((5, 4), 0.1)) == 0).all()


def test_uneven_layers_are_refused():
    with pytest.raises(FeatureError, match="3 layers"):
        LayerMean(3).fit(np.zeros((5, 4)))


@parametrize_with_checks([LayerMean()])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
