"""LinearScorer: a whole chain of affine steps folded into one matrix a block, then a link."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from forethought.errors import ArtifactError, FeatureError
from forethought.probes.base import Arrays, FloatArray, Meta, check_blocks, logit

if TYPE_CHECKING:
    from forethought.probes.base import Block

Link = Literal["logistic", "clip"]


class Part(NamedTuple):
    """One block's share of the logits: `(x - centre) @ weights`.

    Subtracting the centre first keeps float32 exact where a feature's mean dwarfs its spread.
    """

    centre: NDArray[np.floating] | None
    weights: NDArray[np.floating]

    def apply(self, block: Block) -> NDArray[np.floating]:
        """The block's share `(n, K)`."""
        if self.centre is None:
            return np.asarray(block @ self.weights)
        dense = block if isinstance(block, np.ndarray) else block.toarray()
        share: NDArray[np.floating] = np.dot(np.subtract(dense, self.centre, dtype=np.float32), self.weights)
        return share


class Table(NamedTuple):
    """A piecewise-linear calibration map of one target: logits `x`, ascending, and probabilities `p`."""

    x: FloatArray
    p: FloatArray


class LinearScorer:
    """P(success) of K targets from one matrix product a block.

    Args:
        parts: One `Part` a block: centre `(d_b,)`, None for a sparse block; weights `(d_b, K)`.
        bias: `(K,)`.
        link: `logistic` for logits, `clip` for scores that already are probabilities.
        tables: Isotonic maps from logits, one a target, in place of the link.
    """

    kind: ClassVar[str] = "linear"

    def __init__(
        self, parts: Sequence[Part], bias: FloatArray, link: Link = "logistic", tables: Sequence[Table] = ()
    ) -> None:
        self.parts = [Part(_single(p.centre), np.ascontiguousarray(p.weights, dtype=np.float32)) for p in parts]
        self.bias = np.asarray(bias, dtype=np.float64)
        self.link = link
        self.tables = tuple(tables)
        self.widths = [len(part.weights) for part in self.parts]
        self._check()

    def logits(self, blocks: Sequence[Block]) -> FloatArray:
        """Scores before the link `(n, K)`.

        Raises:
            FeatureError: Other blocks than fitted on, or values that are not finite.
        """
        check_blocks(blocks, self.widths)
        total: FloatArray = self.bias
        with np.errstate(invalid="ignore", over="ignore"):
            for block, part in zip(blocks, self.parts, strict=True):
                total = total + part.apply(block)
        # One NaN or infinity makes the sum of squares one, at half the price of looking at each.
        if not math.isfinite(np.vdot(total, total)):
            rows = np.flatnonzero(~np.isfinite(total).all(axis=1))[:5].tolist()
            raise FeatureError(f"features must be finite; rows {rows} give scores that are not")
        return total

    def predict_proba(self, blocks: Sequence[Block]) -> FloatArray:
        """P(success) `(n, K)` from one `(n, d_b)` array a block; see `Scorer`."""
        scores = self.logits(blocks)
        if self.tables:
            return np.column_stack([np.interp(scores[:, k], x, p) for k, (x, p) in enumerate(self.tables)])
        if self.link == "clip":
            return np.clip(scores, 0.0, 1.0)
        return 0.5 + 0.5 * np.tanh(0.5 * scores)

    def log_odds(self, blocks: Sequence[Block]) -> FloatArray:
        """Log-odds of success `(n, K)` before the isotonic tables; an affine calibration is part of the weights."""
        scores = self.logits(blocks)
        return logit(scores) if self.link == "clip" else scores

    def directions(self) -> list[Part]:
        """Orthonormal directions of each block that move any score, strongest first."""
        return [Part(part.centre, principal(part.weights)) for part in self.parts]

    def state(self) -> tuple[Meta, Arrays]:
        """JSON-able description and arrays; see `Scorer`."""
        arrays: Arrays = {"bias": self.bias}
        for i, part in enumerate(self.parts):
            arrays[f"weights.{i}"] = part.weights
            if part.centre is not None:
                arrays[f"centre.{i}"] = part.centre
        for k, table in enumerate(self.tables):
            arrays[f"table.{k}"] = np.stack(table)
        return {"kind": self.kind, "link": self.link, "blocks": len(self.parts), "tables": len(self.tables)}, arrays

    @classmethod
    def from_state(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a state.

        Raises:
            ArtifactError: Arrays do not fit each other.
        """
        parts = [Part(arrays.get(f"centre.{i}"), arrays[f"weights.{i}"]) for i in range(meta["blocks"])]
        tables = [Table(*arrays[f"table.{k}"]) for k in range(meta["tables"])]
        return cls(parts, arrays["bias"], meta["link"], tables)

    def _check(self) -> None:
        targets = len(self.bias)
        shapes = [part.weights.shape for part in self.parts]
        if any(len(shape) != 2 or shape[1] != targets for shape in shapes):
            raise ArtifactError(f"weights must have shape (d, {targets}), as the bias has, got {shapes}")
        if any(part.centre is not None and part.centre.shape != part.weights.shape[:1] for part in self.parts):
            raise ArtifactError("centre and weights of a block must have as many features")
        if self.link not in get_args(Link):
            raise ArtifactError(f"link must be one of {get_args(Link)}, got {self.link!r}")
        if self.tables and len(self.tables) != targets:
            raise ArtifactError(f"need no calibration table or one for each of {targets} targets")


def principal(weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """Left singular vectors `(d, rank)` of a map `(d, K)`, strongest first, the largest entry of each positive."""
    left, strength, _ = np.linalg.svd(np.asarray(weights, dtype=np.float64), full_matrices=False)
    kept: NDArray[np.float64] = left[:, strength > 1e-6 * max(float(strength.max(initial=0.0)), 1e-30)]
    if kept.shape[1]:
        kept = kept * np.sign(np.take_along_axis(kept, np.abs(kept).argmax(axis=0)[None], axis=0))
    return kept


def _single(values: NDArray[np.floating] | None) -> NDArray[np.float32] | None:
    return None if values is None else np.ascontiguousarray(values, dtype=np.float32)
