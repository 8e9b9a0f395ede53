"""The price at which the Bayes rule may stop, by the shared certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forethought.errors import ConfigError
from forethought.metrics import Certificate, FloatArray, learn_then_test, map_tolerance, signed_loss, unmap_tolerance
from forethought.voting.prior_fit import GatedPrior
from forethought.voting.replay import VotePaths
from forethought.voting.samples import Samples

PRICES = tuple(np.geomspace(1e-4, 0.05, 20).tolist())
"""From safe to thrifty: fixed before any data."""


@dataclass(frozen=True)
class PriceCertificate:
    """A price and the evidence for it.

    Attributes:
        price: The dearest certified price of an answer, thus the thriftiest rule; None is 'insufficient
            evidence': take the majority at the cap.
        cap: Most answers.
        tolerance: Success that may be lost against the majority at the cap.
        certificate: The tests.
    """

    price: float | None
    cap: int
    tolerance: float
    certificate: Certificate

    def __str__(self) -> str:
        found = self.certificate
        if self.price is None:
            least = unmap_tolerance(found.smallest_tolerance)
            return (
                f"insufficient evidence at n={found.n} for a loss of at most {self.tolerance:.3f}: keep the majority "
                f"of {self.cap}; the smallest tolerance provable here is {least:.3f}"
            )
        return (
            f"at {self.price:.2g} success an answer the vote loses at most {self.tolerance:.3f} success against the "
            f"majority of {self.cap}, with probability {1 - found.delta:.0%} (n={found.n})"
        )


def certify_price(
    samples: Samples,
    gated: GatedPrior,
    forecasts: FloatArray | None,
    *,
    cap: int = 16,
    tolerance: float = 0.02,
    delta: float = 0.1,
    prices: Sequence[float] = PRICES,
) -> PriceCertificate:
    """Choose the thriftiest price whose loss against the majority at the cap is provably tolerable.

    The loss of a question is the success of the majority of `cap` answers minus the rule's, in
    [-1, 1] (Learn-then-Test, arXiv 2110.01052, fixed-sequence testing from low prices to high). The
    test counts questions as independent; those that share an entity are not quite.

    Args:
        samples: Recorded answers of questions that nothing was fitted on.
        gated: The prior and its gate.
        forecasts: Of these questions, shape (n, 2); None certifies the population's prior.
        cap: Most answers.
        tolerance: Mean success that may be lost.
        delta: Probability of being wrong.
        prices: Rising, fixed on other data.

    Raises:
        ConfigError: Prices that do not rise.
        DataError: Fewer recorded answers than `cap`.
    """
    if list(prices) != sorted(prices) or not prices:
        raise ConfigError(f"prices must rise from safe to thrifty and not be empty, got {list(prices)}")
    paths = VotePaths.of(samples, cap)
    weights = None if forecasts is None else gated.weights(forecasts)
    chosen = np.stack([paths.bayes(gated.population, price, weights).success for price in prices], axis=1)
    losses = signed_loss(paths.right[:, -1:], chosen)
    found = learn_then_test(losses, tolerance=map_tolerance(tolerance), delta=delta)
    return PriceCertificate(None if found.index is None else prices[found.index], cap, tolerance, found)
