"""What serves a fitted TokenHead: one product, one exponential."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from forethought.errors import ArtifactError, FeatureError
from forethought.probes.base import Arrays, FloatArray, Meta

if TYPE_CHECKING:
    from forethought.probes.base import Block

_ARRAYS = ("coef", "intercept", "smearing", "low", "high")


@dataclass(frozen=True, eq=False)
class TokenScorer:
    """Expected output tokens `smearing * exp(x @ coef + intercept) - 1`, held within `[low, high]`.

    Attributes:
        coef: `(d, K)` on raw features.
        intercept: `(K,)`.
        smearing: `(K,)` Duan factors; a target served by its mean has zero coefficients.
        low: `(K,)` fewest tokens seen in fitting; `high` the most.
    """

    coef: NDArray[Any]
    intercept: FloatArray
    smearing: FloatArray
    low: FloatArray
    high: FloatArray

    kind: ClassVar[str] = "tokens"

    def predict_proba(self, blocks: Sequence[Block]) -> FloatArray:
        """Return expected output tokens `(n, K)`; named as every scorer's method is.

        Raises:
            FeatureError: The blocks' widths do not add up to the fitted width, or a value is not finite.
        """
        X = blocks[0] if len(blocks) == 1 else np.hstack(blocks)
        if X.ndim != 2 or X.shape[1] != len(self.coef):
            raise FeatureError(f"token head expects features of shape (n, {len(self.coef)}), got {X.shape}")
        logarithm = np.dot(X, self.coef) + self.intercept
        # One NaN or infinity makes the sum of squares one, at half the price of looking at each.
        if not math.isfinite(np.vdot(logarithm, logarithm)):
            raise FeatureError("features hold NaN or infinite values; the token head takes finite ones only")
        np.minimum(logarithm, self._ceiling, out=logarithm)
        np.exp(logarithm, out=logarithm)
        logarithm *= self.smearing
        logarithm -= 1.0
        np.maximum(logarithm, self.low, out=logarithm)
        tokens: FloatArray = np.minimum(logarithm, self.high, out=logarithm)
        return tokens

    @cached_property
    def _ceiling(self) -> FloatArray:
        """Where exp would overflow to no use: one more than the log of the longest answer seen."""
        return np.log1p(self.high) + 1.0

    def state(self) -> tuple[Meta, Arrays]:
        """Return a JSON-able description and the arrays that rebuild this scorer exactly."""
        return {"kind": self.kind}, {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_state(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild a scorer from `state()`.

        Raises:
            ArtifactError: An array is missing.
        """
        if missing := [name for name in _ARRAYS if name not in arrays]:
            raise ArtifactError(f"token head state lacks {missing}; has {sorted(arrays)}")
        return cls(**{name: arrays[name] for name in _ARRAYS})
