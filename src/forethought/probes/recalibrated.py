"""RecalibratedScorer: a fitted scorer whose logits pass through K logistic heads of a new domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from forethought.probes.base import Arrays, FloatArray, Legible, Meta, Scorer, log_odds, logit, scorer_from_state

if TYPE_CHECKING:
    from forethought.probes.base import Block
    from forethought.probes.linear_scorer import Part


class RecalibratedScorer:
    """P(success) as `sigmoid(logit(inner) @ coef.T + intercept)`.

    Every head sees every target's logit: which other targets would succeed says how hard the
    question is, so a joint head learns more from few labels than a map a target.

    Args:
        inner: The scorer that is recalibrated.
        coef: `(K, K)`, one row a head.
        intercept: `(K,)`.
    """

    kind: ClassVar[str] = "recalibrated"

    def __init__(self, inner: Scorer, coef: FloatArray, intercept: FloatArray) -> None:
        self.inner = inner
        self.coef = np.asarray(coef, dtype=np.float64)
        self.intercept = np.asarray(intercept, dtype=np.float64)

    def predict_proba(self, blocks: Sequence[Block]) -> FloatArray:
        """P(success) `(n, K)`; see `Scorer`."""
        scores = logit(self.inner.predict_proba(blocks)) @ self.coef.T + self.intercept
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * scores))

    def log_odds(self, blocks: Sequence[Block]) -> FloatArray:
        """The inner scorer's log-odds `(n, K)`: a recalibration is fitted on these, never on another one's result."""
        return log_odds(self.inner, blocks)

    def directions(self) -> list[Part]:
        """The inner scorer's; none where it does not tell."""
        return self.inner.directions() if isinstance(self.inner, Legible) else []

    def state(self) -> tuple[Meta, Arrays]:
        """JSON-able description and arrays; see `Scorer`."""
        meta, arrays = self.inner.state()
        nested = {f"inner.{name}": array for name, array in arrays.items()}
        return {"kind": self.kind, "inner": meta}, {**nested, "coef": self.coef, "intercept": self.intercept}

    @classmethod
    def from_state(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a state."""
        nested = {name.removeprefix("inner."): a for name, a in arrays.items() if name.startswith("inner.")}
        return cls(scorer_from_state(meta["inner"], nested), arrays["coef"], arrays["intercept"])
