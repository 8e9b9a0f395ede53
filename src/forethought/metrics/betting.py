"""The betting p-value of Waudby-Smith and Ramdas."""

from __future__ import annotations

import numpy as np

from forethought.metrics._types import FloatArray

TUNED_FOR = 0.05


def betting_p(losses: FloatArray, tolerance: float) -> float:
    """P-value of 'the expected loss exceeds the tolerance': 1 / the largest wealth of a bettor against it.

    Wealth is prod(1 - nu_i (L_i - tolerance)), a supermartingale if the hypothesis holds, so by
    Ville's inequality P(p <= u) <= u. The bets nu_i in [0, 1] come from the past alone
    (2010.09686; as a bound on risk in 2101.02703) and grow as the losses' variance shrinks:
    signed losses of settings that mostly agree need far fewer questions than under
    Hoeffding-Bentkus. Bets do not depend on the tolerance, so p falls as the tolerance grows.

    Args:
        losses: In [0, 1], shape (n,), in an order drawn at random without looking at them: sorted by
            kind of question, the bound holds for the first kind alone.
        tolerance: In (0, 1).

    Returns:
        1 for no losses.
    """
    n = len(losses)
    if n == 0:
        return 1.0
    count = np.arange(2, n + 2)
    mean = (0.5 + np.cumsum(losses)) / count
    variance = (0.25 + np.cumsum((losses - mean) ** 2)) / count
    before = np.concatenate(([0.25], variance[:-1]))
    bets = np.minimum(1.0, np.sqrt(2 * np.log(1 / TUNED_FOR) / (n * before)))
    wealth = np.cumsum(np.log1p(-bets * (losses - tolerance)))
    return float(np.exp(-max(0.0, float(wealth.max()))))
