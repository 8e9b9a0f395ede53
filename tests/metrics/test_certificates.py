import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from forethought.errors import ConfigError, DataError
from forethought.metrics import (
    betting_p,
    clipped_loss,
    hoeffding_bentkus_p,
    learn_then_test,
    map_tolerance,
    signed_loss,
    unmap_tolerance,
)


def most_allowed(rate, runs):
    """Violations that a rate makes less often than once in 10,000 experiments."""
    return int(binom.ppf(1 - 1e-4, runs, rate))


def test_hoeffding_bentkus_closed_forms():
    # No loss at all: Hoeffding is (1 - t)^n, always the smaller.
    assert hoeffding_bentkus_p(0.0, 50, 0.1) == pytest.approx(0.9**50)
    # Mean at or above the tolerance: nothing is proven.
    assert hoeffding_bentkus_p(0.1, 50, 0.1) == 1.0
    kl = 0.05 * math.log(0.05 / 0.1) + 0.95 * math.log(0.95 / 0.9)
    hoeffding, bentkus = math.exp(-1000 * kl), math.e * binom.cdf(50, 1000, 0.1)
    assert bentkus < hoeffding
    assert hoeffding_bentkus_p(0.05, 1000, 0.1) == pytest.approx(bentkus)


def test_bentkus_takes_the_ceiling_but_not_of_rounding():
    assert hoeffding_bentkus_p(0.1 * 3, 10, 0.9) == hoeffding_bentkus_p(0.3, 10, 0.9)
    losses = np.full(30, 0.1)
    assert hoeffding_bentkus_p(float(losses.mean()), 30, 0.4) <= math.e * binom.cdf(3, 30, 0.4)


@given(st.integers(1, 400), st.floats(0, 1), st.floats(0.01, 0.98))
def test_hoeffding_bentkus_is_monotone(n, mean, tolerance):
    p = hoeffding_bentkus_p(mean, n, tolerance)
    assert 0 <= p <= 1
    assert hoeffding_bentkus_p(mean, n, tolerance + 0.01) <= p + 1e-12
    assert hoeffding_bentkus_p(min(mean + 0.05, 1.0), n, tolerance) >= p - 1e-12


@given(st.lists(st.floats(0, 1), max_size=60), st.floats(0.01, 0.98))
def test_betting_is_monotone_in_the_tolerance(losses, tolerance):
    losses = np.array(losses)
    assert betting_p(losses, tolerance + 0.01) <= betting_p(losses, tolerance) + 1e-12


@pytest.mark.parametrize("agree", [0.0, 0.5, 0.9])
def test_betting_is_super_uniform_at_the_boundary(agree):
    """True loss equal to the tolerance: P(p <= u) <= u at every level."""
    rng = np.random.default_rng(7)
    runs, n = 2000, 150
    differ = rng.random((runs, n)) >= agree
    losses = signed_loss(np.zeros((runs, n)), np.where(differ, rng.choice([-1.0, 1.0], (runs, n)), 0.0))
    p = np.array([betting_p(row, 0.5) for row in losses])
    for level in (0.01, 0.05, 0.1, 0.3):
        assert (p <= level).sum() <= most_allowed(level, runs)


def test_betting_is_tighter_on_signed_losses_that_mostly_agree():
    rng = np.random.default_rng(0)
    change = np.where(rng.random(800) < 0.06, rng.choice([-1.0, 1.0], 800), 0.0)
    losses = (change + 1) / 2
    tolerance = map_tolerance(0.05)
    betting = betting_p(losses, tolerance)
    assert betting < 0.01
    assert hoeffding_bentkus_p(float(losses.mean()), 800, tolerance) > 10 * betting


def test_betting_closed_form():
    # One loss of 0 at tolerance t: wealth 1 + t, the first bet being capped at 1.
    assert betting_p(np.array([0.0]), 0.3) == pytest.approx(1 / 1.3)
    assert betting_p(np.ones(20), 0.3) == 1.0
    assert betting_p(np.array([]), 0.3) == 1.0


@pytest.mark.parametrize("p_value", ["betting", "hoeffding_bentkus"])
@pytest.mark.parametrize(
    "true_losses",
    [
        (0.1000001, 0.3, 0.5),  # boundary: the first setting's loss equals the tolerance but for its last digit
        (0.02, 0.1000001, 0.05, 0.11),  # not monotone: a bad setting in the middle, a good one behind it
        (0.02, 0.05, 0.13, 0.01, 0.2),
    ],
)
def test_violations_stay_within_delta(p_value, true_losses):
    rng = np.random.default_rng(11)
    rates, tolerance, delta, runs = np.array(true_losses), 0.1, 0.1, 600
    violations = 0
    for _ in range(runs):
        losses = (rng.random((120, len(rates))) < rates).astype(float)
        index = learn_then_test(losses, tolerance=tolerance, delta=delta, p_value=p_value).index
        violations += index is not None and rates[index] > tolerance
    assert violations <= most_allowed(delta, runs)


@pytest.mark.parametrize("p_value", ["betting", "hoeffding_bentkus"])
def test_rows_sorted_by_family_prove_nothing_false(p_value):
    """Half the families win, half lose more; the mean loss exceeds the tolerance."""
    rng = np.random.default_rng(11)
    drift = np.repeat([-0.15, 0.20], 300)
    runs, violations = 200, 0
    for _ in range(runs):
        lost = np.where(rng.random(600) < np.abs(drift), np.sign(drift), 0.0)
        found = learn_then_test((lost[:, None] + 1) / 2, tolerance=map_tolerance(0.02), delta=0.1, p_value=p_value)
        violations += found.index is not None
    assert violations <= most_allowed(0.1, runs)


def test_testing_stops_at_the_first_failure():
    losses = np.zeros((200, 4))
    losses[:, 2] = 1.0
    certificate = learn_then_test(losses, tolerance=0.2, delta=0.05)
    assert certificate.index == 1
    assert np.isnan(certificate.p_values).tolist() == [False, False, False, True]
    assert certificate.n == 200


@pytest.mark.parametrize("p_value", ["betting", "hoeffding_bentkus"])
def test_smallest_tolerance_is_where_the_first_setting_starts_to_pass(p_value):
    losses = (np.random.default_rng(0).random((300, 2)) < 0.1).astype(float)
    least = learn_then_test(losses, tolerance=0.11, delta=0.05, p_value=p_value)
    assert least.index is None
    at = least.smallest_tolerance
    assert learn_then_test(losses, tolerance=at + 1e-6, delta=0.05, p_value=p_value).index is not None
    assert learn_then_test(losses, tolerance=at - 1e-6, delta=0.05, p_value=p_value).index is None
    hopeless = learn_then_test(np.ones((3, 1)), tolerance=0.5, delta=0.05, p_value=p_value)
    assert hopeless.smallest_tolerance == pytest.approx(1.0)


@given(st.floats(-1, 1))
@settings(max_examples=20)
def test_tolerances_map_as_losses_do(x):
    assert map_tolerance(x) == pytest.approx(float(signed_loss(np.array([x]), np.array([0.0]))[0]))
    assert unmap_tolerance(map_tolerance(x)) == pytest.approx(x)


def test_losses_by_hand():
    safe, chosen = np.array([1.0, 0, 1, 0.5]), np.array([0.0, 1, 1, 0.25])
    assert signed_loss(safe, chosen).tolist() == [1.0, 0.0, 0.5, 0.625]
    assert clipped_loss(safe, chosen).tolist() == [1.0, 0.0, 0.0, 0.25]


def test_bad_input():
    good = np.zeros((5, 1))
    with pytest.raises(ConfigError, match="tolerance=0"):
        learn_then_test(good, tolerance=0, delta=0.1)
    with pytest.raises(ConfigError, match="allowed: betting, hoeffding_bentkus"):
        learn_then_test(good, tolerance=0.1, delta=0.1, p_value="exact")
    with pytest.raises(DataError, match="missing"):
        learn_then_test(np.full((5, 1), np.nan), tolerance=0.1, delta=0.1)
    with pytest.raises(DataError, match="shape"):
        learn_then_test(np.zeros(5), tolerance=0.1, delta=0.1)
    with pytest.raises(ConfigError, match="mean_loss"):
        hoeffding_bentkus_p(1.2, 10, 0.1)
