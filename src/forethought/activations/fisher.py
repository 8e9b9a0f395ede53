"""Fisher separability J: how far right and wrong lie apart, against how far each spreads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from forethought.activations.components import FloatArray, finite_rows, principal_scores
from forethought.errors import ConfigError, DataError

Kind: TypeAlias = Literal["unweighted", "trace_ratio"]

_SEED = 0


class Fisher(NamedTuple):
    """Separability of two classes.

    Attributes:
        J: The criterion; below 0 where the bias correction exceeds the raw distance. NaN without spread.
        null_mean: Mean of J over permuted labels; about 0 when bias-corrected. NaN without permutations.
        null_p: Share of permutations at least as separable, (1 + count) / (1 + permutations).
        n0: Rows of class 0 (wrong).
        n1: Rows of class 1 (right). J is noisy where the rarer class has fewer than about 20.
    """

    J: float
    null_mean: float
    null_p: float
    n0: int
    n1: int


def fisher_separability(
    X: ArrayLike,
    y: ArrayLike,
    *,
    kind: Kind = "unweighted",
    bias_corrected: bool = True,
    pca: int | None = None,
    permutations: int = 0,
) -> Fisher:
    """Fisher separability of right and wrong questions (2603.20895; the trace ratio after Fukunaga 1990, ch. 10).

    `unweighted` is |m1 - m0|^2 / (tr S0 + tr S1); `trace_ratio` is p0 p1 |m1 - m0|^2 / (p0 tr S0 + p1 tr S1).
    The raw distance is too large by tr S1 / n1 + tr S0 / n0 on average, so that a rare class or many
    dimensions look separable. Corrected, that is subtracted with S over n - 1: the numerator is then
    unbiased, and J has mean about 0 where there is no difference. Raw, S is over n as in the paper.

    Args:
        X: (n, d).
        y: Success in [0, 1], (n,); above 1/2 is right, NaN is left out.
        kind: Which of the two criteria.
        bias_corrected: Subtract what chance alone gives.
        pca: Standardise and keep this many principal components first; J depends on it, so layers
            are compared at one size.
        permutations: Label permutations behind the null (a fixed seed); 0 for none.

    Raises:
        FeatureError: Features that are not (n, d) and finite.
        DataError: Labels out of range, or fewer than two rows of either class.
    """
    rows = finite_rows(X)
    scores = rows if pca is None else principal_scores(rows, pca)
    everyone = np.zeros(len(rows))
    return within_group_fisher(scores, y, everyone, kind=kind, bias_corrected=bias_corrected, permutations=permutations)


def within_group_fisher(
    X: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    kind: Kind = "unweighted",
    bias_corrected: bool = True,
    permutations: int = 0,
) -> Fisher:
    """Fisher separability inside groups: what is left once the kind of question is known.

    Numerators and denominators of the groups are averaged apart, each weighted by n0 n1 / (n0 + n1),
    so that small groups do not shout; labels are permuted inside groups. Groups with fewer than two
    rows of either class say nothing and are left out of n0 and n1 as well. Principal components, where
    wanted, are taken before: one basis for every group.

    Raises:
        FeatureError: Features that are not (n, d) and finite.
        DataError: Labels out of range, or no group has two rows of either class.
    """
    rows, right, member = _checked(X, y, groups, kind)
    parts = [member == group for group in np.unique(member)]
    parts = [part for part in parts if 2 <= right[part].sum() <= part.sum() - 2]
    if not parts:
        raise DataError(f"separability needs two rows of either class; {int(right.sum())} of {len(right)} are right")
    rng = np.random.default_rng(_SEED)
    criterion = [
        _parts_of_j(rows[part], _shuffled(right[part], permutations, rng), kind, bias_corrected) for part in parts
    ]
    numerator, denominator = np.sum(criterion, axis=0)
    J = np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
    n1 = sum(int(right[part].sum()) for part in parts)
    n = sum(int(part.sum()) for part in parts)
    return Fisher(float(J[0]), *_null(J), n - n1, n1)


def _checked(X: ArrayLike, y: ArrayLike, groups: ArrayLike, kind: str) -> tuple[FloatArray, np.ndarray, np.ndarray]:
    rows, labels, member = finite_rows(X, least=1), np.asarray(y, dtype=np.float64), np.asarray(groups)
    if kind not in ("unweighted", "trace_ratio"):
        raise ConfigError(f"kind must be 'unweighted' or 'trace_ratio', got {kind!r}")
    if labels.shape != (len(rows),) or member.shape != labels.shape:
        raise DataError(
            f"labels and groups must be one a row, got {labels.shape} and {member.shape} for {len(rows)} rows"
        )
    present = ~np.isnan(labels)
    if ((labels[present] < 0) | (labels[present] > 1)).any():
        raise DataError(f"labels must lie in [0, 1], got {np.nanmin(labels)} to {np.nanmax(labels)}")
    return rows[present], labels[present] > 0.5, member[present]


def _shuffled(right: np.ndarray, permutations: int, rng: np.random.Generator) -> FloatArray:
    """Labels as given, then permuted, (1 + permutations, n)."""
    return np.stack([right, *(rng.permutation(right) for _ in range(permutations))]).astype(np.float64)


def _parts_of_j(X: FloatArray, labels: FloatArray, kind: Kind, corrected: bool) -> tuple[FloatArray, FloatArray]:
    """Weighted numerator and denominator of J under each row of `labels` (m, n); (m,) each."""
    X = X - X.mean(axis=0)
    n1 = labels[0].sum()
    n0 = len(X) - n1
    squares = (X**2).sum(axis=1)
    moments = [_class_moments(X, squares, mask, count, corrected) for mask, count in ((labels, n1), (1 - labels, n0))]
    (mean1, trace1), (mean0, trace0) = moments
    distance = ((mean1 - mean0) ** 2).sum(axis=1)
    if corrected:
        distance -= trace1 / n1 + trace0 / n0
    p1, p0 = n1 / len(X), n0 / len(X)
    weight = n0 * n1 / len(X)
    if kind == "unweighted":
        return weight * distance, weight * (trace0 + trace1)
    return weight * p0 * p1 * distance, weight * (p0 * trace0 + p1 * trace1)


def _class_moments(
    X: FloatArray, squares: FloatArray, mask: FloatArray, count: float, corrected: bool
) -> tuple[FloatArray, FloatArray]:
    """Means (m, d) and covariance traces (m,) of the rows that each mask picks."""
    mean = mask @ X / count
    scatter = mask @ squares - count * (mean**2).sum(axis=1)
    return mean, np.maximum(scatter, 0) / (count - 1 if corrected else count)


def _null(J: Sequence[float] | FloatArray) -> tuple[float, float]:
    observed, null = J[0], np.asarray(J[1:])
    if not len(null) or np.isnan(J).any():
        return float("nan"), float("nan")
    return float(null.mean()), float((1 + (null >= observed).sum()) / (1 + len(null)))
