from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration

from forethought.errors import DataError, FeatureError
from forethought.probes import IsotonicCalibrator, PlattCalibrator, TemperatureCalibrator
from forethought.probes.calibration import Calibrator, fold_affine

CALIBRATORS = [PlattCalibrator, IsotonicCalibrator, TemperatureCalibrator]


def _sample(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits three times too steep (column 0) and, but for temperature, shifted (column 1)."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 2)) * 1.5
    Y = (rng.random((n, 2)) < expit(z)).astype(float)
    return z * [3.0, 1.0], Y


@pytest.mark.parametrize("make", CALIBRATORS)
def test_overconfident_logits_become_honest(make: type[Calibrator]) -> None:
    z, Y = _sample()
    fitted = make().fit(z, Y)
    new, truth = _sample(seed=1)
    P = fitted.transform(new)
    assert ((P - truth) ** 2).mean() < ((expit(new) - truth) ** 2).mean() - 0.003
    np.testing.assert_allclose(P.mean(axis=0), truth.mean(axis=0), atol=0.03)


def test_platt_agrees_with_scikit_learn() -> None:
    z, Y = _sample(300)
    ours, reference = PlattCalibrator().fit(z, Y), _SigmoidCalibration().fit(z[:, 0], Y[:, 0])
    np.testing.assert_allclose(ours.transform(z)[:, 0], reference.predict(z[:, 0]), atol=1e-4)


def test_platt_recovers_a_shift_and_temperature_keeps_the_sign() -> None:
    z, Y = _sample()
    np.testing.assert_allclose(PlattCalibrator().fit(z + 2, Y).offset_, [-2 / 3, -2], atol=0.2)
    warm = TemperatureCalibrator().fit(z, Y)
    np.testing.assert_allclose(warm.slope_, [1 / 3, 1], rtol=0.12)
    np.testing.assert_array_equal(warm.offset_, 0)


def test_platt_stays_finite_when_the_score_separates_the_classes() -> None:
    z = np.linspace(-5, 5, 20)[:, None]
    P = PlattCalibrator().fit(z, (z > 0).astype(float)).transform(z)
    assert 0 < P.min() < P.max() < 1


@pytest.mark.parametrize("make", CALIBRATORS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_missing_labels_are_masked(make: type[Calibrator], seed: int) -> None:
    z, Y = _sample(60, seed)
    Y[:2] = [[0, 1], [1, 0]]
    holes = Y.copy()
    holes[40:, 1] = np.nan
    alone = make().fit(z[:40, 1:], Y[:40, 1:]).transform(z[:, 1:])
    np.testing.assert_allclose(make().fit(z, holes).transform(z)[:, 1], alone[:, 0], atol=1e-9)


@pytest.mark.parametrize("make", [PlattCalibrator, TemperatureCalibrator])
def test_a_target_with_one_class_keeps_its_logits_and_is_named(make: type[Calibrator]) -> None:
    z, Y = _sample(50)
    Y[:, 1] = 0
    fitted = make().fit(z, Y)
    assert fitted.one_class_ == [1]
    np.testing.assert_allclose(fitted.transform(z)[:, 1], expit(z[:, 1]))


def test_trials_weigh_rates() -> None:
    z = np.array([[-1.0], [-1.0], [1.0], [1.0]])
    Y = np.array([[0.0], [1.0], [0.0], [1.0]])
    P = PlattCalibrator().fit(z, Y, np.array([[900.0], [100], [100], [900]])).transform(z)
    np.testing.assert_allclose(P[:, 0], [0.1, 0.1, 0.9, 0.9], atol=0.01)


def test_folding_keeps_the_map() -> None:
    z, Y = _sample(200)
    platt, isotonic = PlattCalibrator().fit(z, Y), IsotonicCalibrator().fit(z, Y)
    slope, offset, tables = fold_affine(platt, 2)
    np.testing.assert_allclose(expit(slope * z + offset), platt.transform(z))
    assert tables == []
    assert len(fold_affine(isotonic, 2)[2]) == 2
    assert isotonic.state()[0] == {"kind": "isotonic"}
    np.testing.assert_array_equal(platt.state()[1]["slope"], slope)


def test_bad_input_says_what_is_wrong() -> None:
    z, Y = _sample(10)
    with pytest.raises(FeatureError, match="finite"):
        PlattCalibrator().fit(np.full((10, 2), np.nan), Y)
    with pytest.raises(DataError, match=r"one shape, got \(10, 1\)"):
        PlattCalibrator().fit(z[:, :1], Y)
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        PlattCalibrator().fit(z, Y * 2)
