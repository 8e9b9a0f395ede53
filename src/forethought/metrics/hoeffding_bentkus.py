"""The Hoeffding-Bentkus p-value."""

from __future__ import annotations

import math

from forethought.errors import ConfigError


def hoeffding_bentkus_p(mean_loss: float, n: int, tolerance: float) -> float:
    """P-value of 'the expected loss exceeds the tolerance' (Bates et al., 2101.02703; 2110.01052).

    The smaller of Hoeffding's tail in its Kullback-Leibler form and Bentkus's
    e * P(Bin(n, tolerance) <= ceil(n * mean)).

    Args:
        mean_loss: Mean of n independent losses in [0, 1].
        n: Number of losses.
        tolerance: In (0, 1).

    Raises:
        ConfigError: A value outside its range.
    """
    from scipy.stats import binom

    if not (0 <= mean_loss <= 1 and n >= 1 and 0 < tolerance < 1):
        raise ConfigError(
            f"need 0 <= mean_loss <= 1, n >= 1, 0 < tolerance < 1, got {mean_loss}, n={n}, tolerance={tolerance}"
        )
    hoeffding = math.exp(-n * _kl(min(mean_loss, tolerance), tolerance))
    # A sum such as 0.1 * 30 must not be rounded up to 4 by its last bit.
    bentkus = math.e * float(binom.cdf(math.ceil(n * mean_loss - 1e-9), n, tolerance))
    return min(hoeffding, bentkus, 1.0)


def _kl(a: float, b: float) -> float:
    """Kullback-Leibler divergence of Bernoulli(a) from Bernoulli(b)."""
    left = a * math.log(a / b) if a > 0 else 0.0
    right = (1 - a) * math.log((1 - a) / (1 - b)) if a < 1 else 0.0
    return left + right
