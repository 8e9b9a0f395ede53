"""The few directions of the features that a router's head looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from forethought.errors import FeatureError

if TYPE_CHECKING:
    from forethought.probes.base import Scorer
    from forethought.probes.linear_scorer import Part
    from forethought.router.features import Block

MOST = 64
"""Most numbers of a projection."""


@dataclass(frozen=True)
class Subspace:
    """An orthonormal basis of what a head can see of the features, block by block.

    Why a projection on it can stand for the features. A linear head adds one product `(x - centre) @ weights` a
    block. Whatever of `x` is orthogonal to every column of the weights changes no score, and the rest is what the
    basis holds: while nothing is cut off, the scores of all targets are an affine function of the projection. The
    scores are the log-odds under the link `logistic`; under `clip` they are the probabilities before clipping.
    So a head's weights can be recalibrated, or learned anew over these directions, from projections and outcomes; a
    shift of the features that could move any decision moves the projection; and a decision can be explained by
    the blocks that its coordinates come from. What it cannot show is a shift in directions that the head ignores.

    A network is served by the strongest singular directions of its first layer, the only part that reads features.

    Where a head has more directions than `most`, every block keeps its strongest ones, rank by rank: the size of
    weights says nothing across blocks of different scale. The scores are then no function of the projection, and
    must be kept beside it.

    Attributes:
        parts: Centre and orthonormal basis `(d, r)` of each block, or of all blocks side by side.
        whole: Whether no direction was cut off.
    """

    parts: tuple[Part, ...]
    whole: bool

    @classmethod
    def of(cls, scorer: Scorer, most: int = MOST) -> Self:
        """The subspace of a head; one without any dimension where the head does not tell its directions.

        Args:
            scorer: Of a router.
            most: Largest dimension.
        """
        from forethought.probes.base import Legible

        parts = scorer.directions() if isinstance(scorer, Legible) else []
        shares = _shares([part.weights.shape[1] for part in parts], most)
        kept = tuple(
            part._replace(weights=_orthonormal(part.weights[:, :share]))
            for part, share in zip(parts, shares, strict=True)
        )
        return cls(kept, all(part.weights.shape[1] <= share for part, share in zip(parts, shares, strict=True)))

    @property
    def dimension(self) -> int:
        """Numbers of a projection."""
        return sum(part.weights.shape[1] for part in self.parts)

    def project(self, blocks: Sequence[Block]) -> NDArray[np.float64]:
        """Coordinates of each question `(n, dimension)`.

        Args:
            blocks: One (n, d_b) array per feature block.

        Raises:
            FeatureError: A value is not finite.
        """
        if not self.parts:
            return np.zeros((blocks[0].shape[0], 0))
        read = [np.hstack(blocks)] if len(self.parts) == 1 < len(blocks) else blocks
        with np.errstate(invalid="ignore", over="ignore"):
            shares = [part.apply(block) for part, block in zip(self.parts, read, strict=True)]
        found: NDArray[np.float64] = np.concatenate(shares, axis=1, dtype=np.float64)
        if not np.isfinite(found).all():
            raise FeatureError("features must be finite; their projection holds NaN or infinite values")
        return found


def _shares(ranks: Sequence[int], most: int) -> list[int]:
    """How many directions each block keeps: the first of every block, then the second, while there is room."""
    places = sorted((rank, block) for block, count in enumerate(ranks) for rank in range(count))[:most]
    return [sum(block == mine for _, block in places) for mine in range(len(ranks))]


def _orthonormal(columns: NDArray[np.floating]) -> NDArray[np.float32]:
    """An orthonormal basis of the span; a column of the basis points where its direction does."""
    basis, triangle = np.linalg.qr(np.asarray(columns, dtype=np.float64))
    signs = np.where(np.diag(triangle) < 0, -1.0, 1.0)
    return np.ascontiguousarray(basis * signs, dtype=np.float32)
