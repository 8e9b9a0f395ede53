"""Rank correlation."""

from __future__ import annotations

import numpy as np

from forethought.metrics._types import FloatArray, require_same_shape


def spearman(a: FloatArray, b: FloatArray) -> float:
    """Spearman's rho over the rows where neither is NaN, ties by mean rank.

    Returns:
        NaN when one side is constant or fewer than two rows remain.
    """
    from scipy.stats import rankdata

    require_same_shape(a=a, b=b)
    seen = ~(np.isnan(a) | np.isnan(b))
    if seen.sum() < 2:
        return float("nan")
    x, y = rankdata(a[seen]), rankdata(b[seen])
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else float("nan")
