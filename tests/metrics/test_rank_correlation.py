import numpy as np
import pytest
from scipy.stats import spearmanr

from forethought.metrics import spearman


def test_agrees_with_scipy_and_masks():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 8, 50).astype(float)
    b = a + rng.normal(0, 3, 50)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(np.append(a, np.nan), np.append(b, 1.0)) == pytest.approx(spearman(a, b))


def test_undefined():
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))
    assert np.isnan(spearman(np.array([1.0]), np.array([2.0])))
