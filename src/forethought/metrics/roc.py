"""Area under the ROC curve: pooled, averaged over targets, and within groups."""

from __future__ import annotations

import numpy as np

from forethought.metrics._types import AnyArray, FloatArray, require, require_same_shape


def auroc(y: FloatArray, score: FloatArray) -> float:
    """P(a right one scores above a wrong one), ties counted half (Mann-Whitney).

    A success rate y over several samples counts as y right and 1 - y wrong rows of one score.

    Args:
        y: Success in [0, 1], shape (n,), NaN where missing (left out).
        score: Higher means more likely right, shape (n,).

    Returns:
        NaN when only one class is there.
    """
    require_same_shape(y=y, score=score)
    concordant, pairs = _pairs(y, score)
    return concordant / pairs if pairs > 0 else float("nan")


def mean_auroc(Y: FloatArray, S: FloatArray) -> float:
    """Mean AUROC over the targets that have both classes; Y and S of shape (n, K)."""
    require_same_shape(Y=Y, S=S)
    values = np.array([auroc(y, s) for y, s in zip(Y.T, S.T, strict=True)])
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def within_group_auroc(y: FloatArray, score: FloatArray, groups: AnyArray) -> float:
    """AUROC over the pairs whose two questions share a group, all groups' pairs pooled.

    Knowing the group alone gives .5 here, however unequal the groups are.
    """
    require_same_shape(y=y, score=score, groups=groups)
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(sizes)
    counts = [_pairs(y[rows], score[rows]) for rows in np.split(order, ends[:-1])]
    concordant, pairs = np.sum(counts, axis=0)
    return float(concordant / pairs) if pairs > 0 else float("nan")


def _pairs(y: FloatArray, score: FloatArray) -> tuple[float, float]:
    """Concordant right-wrong pairs (ties half), and all such pairs."""
    seen = ~np.isnan(y)
    if not seen.all():
        y, score = y[seen], score[seen]
    require(not np.isnan(score).any(), "scores hold NaN; every labelled row needs a number")
    order = np.argsort(score)
    ranked, right = score[order], y[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1]))) if len(ranked) else np.empty(0, int)
    if len(starts) < 1:
        return 0.0, 0.0
    right_at = np.add.reduceat(right, starts)
    wrong_at = np.add.reduceat(1 - right, starts)
    wrong_up_to = np.cumsum(wrong_at)
    return float(right_at @ (wrong_up_to - wrong_at / 2)), float(right_at.sum() * wrong_up_to[-1])
