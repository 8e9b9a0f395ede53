from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from forethought.errors import ConfigError
from forethought.voting.beta_mixture import BetaMixture, as_mixture

MIXTURE = BetaMixture(((2.0, 5.0), (9.0, 1.5)), (0.3, 0.7))


@given(st.integers(1, 30))
def test_under_a_uniform_prior_every_count_is_equally_likely(n):
    counts = as_mixture((1.0, 1.0)).evidence(n).counts
    for right in range(n + 1):
        assert comb(n, right) * counts[right, n - right] == pytest.approx(1 / (n + 1), rel=1e-9)


@pytest.mark.parametrize(("right", "wrong"), [(0, 0), (3, 1), (1, 4)])
def test_evidence_is_the_integral_over_p(right, wrong):
    def density(p):
        pairs = zip(MIXTURE.components, MIXTURE.weights, strict=True)
        return p**right * (1 - p) ** wrong * sum(weight * beta(*pair).pdf(p) for pair, weight in pairs)

    found = MIXTURE.evidence(5)
    assert found.counts[right, wrong] == pytest.approx(quad(density, 0, 1)[0], rel=1e-6)
    assert found.mode_is_right[right, wrong] == pytest.approx(quad(density, 0.5, 1)[0], rel=1e-6)


@pytest.mark.parametrize(
    ("components", "weights", "message"),
    [
        ((), (), "0 components"),
        (((1.0, 1.0),), (0.5, 0.5), "1 components with 2 weights"),
        (((1.0, 1.0),), (0.5,), "sum to 1"),
        (((1.0, 1.0), (2.0, 1.0)), (-0.5, 1.5), "weights must be >= 0"),
        (((0.0, 1.0),), (1.0,), "must be > 0"),
        (((float("nan"), 1.0),), (1.0,), "must be > 0"),
    ],
)
def test_what_is_no_prior_is_refused(components, weights, message):
    with pytest.raises(ConfigError, match=message):
        BetaMixture(components, weights)
