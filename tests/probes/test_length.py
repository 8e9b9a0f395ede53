from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from forethought.errors import DataError
from forethought.probes.length import LengthProbe, text_lengths


def test_lengths_of_texts():
    np.testing.assert_array_equal(text_lengths(["a bc", ""]), [[4, 2], [0, 0]])
    np.testing.assert_array_equal(text_lengths(["a bc", ""], tokens=[7, 1]), [[4, 7], [0, 1]])


def test_success_may_fall_or_peak_with_length():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 1000, size=(800, 1)).astype(float)
    falls = lengths[:, 0] < 100
    peaks = np.abs(np.log(lengths[:, 0]) - 5) < 0.7
    Y = np.column_stack([falls, peaks]).astype(float)
    Y[::3, 0] = np.nan
    p = LengthProbe().fit(lengths[:600], Y[:600]).predict_proba(lengths[600:])
    assert ((p[:, 0] > 0.5) == falls[600:]).mean() > 0.9
    assert ((p[:, 1] > 0.5) == peaks[600:]).mean() > 0.9


def test_negative_lengths_are_refused():
    with pytest.raises(DataError, match=">= 0"):
        LengthProbe().fit(np.array([[-1.0], [2.0]]), np.array([[0.0], [1.0]]))


@parametrize_with_checks([LengthProbe()])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
