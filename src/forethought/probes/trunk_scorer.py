"""What serves a trained SharedTrunkNet: a few numpy products, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from forethought.errors import ArtifactError, FeatureError
from forethought.probes.base import Arrays, FloatArray, Meta, logit
from forethought.probes.linear_scorer import Part, principal
from forethought.probes.projection import Projection

if TYPE_CHECKING:
    from forethought.probes.base import Block

_LAYERS = ("weight1", "bias1", "weight2", "bias2", "weight3", "bias3")


@dataclass(frozen=True, eq=False)
class TrunkScorer:
    """An ensemble of E trunks over shared or per-target projections, for K targets.

    Projections stay apart from the first layer on purpose: for d = 1152 features, 100 components
    and 5 networks of 256 units the two products read 1 MB where the folded one reads 6 MB, and
    a single decision is bound by what it reads.

    Attributes:
        n_features: Width of the feature blocks put side by side.
        projections: Affine maps whose scores, side by side, are the trunk's input `(p,)`.
        weights: `weight1 (p, E * H1)`, `bias1 (E * H1,)`, `weight2 (E, H1, H2)`, `bias2 (E, 1, H2)`,
            `weight3 (E, H2, K)`, `bias3 (E, 1, K)`, all float32.
        base_rate: `(K,)`, NaN but for one-class targets, which are served by this value.
        scale: Calibration `p -> sigmoid(scale * logit(p) + offset)`, `(K,)`; ones change nothing.
        offset: See `scale`; zeros change nothing.
    """

    n_features: int
    projections: tuple[Projection, ...]
    weights: Mapping[str, NDArray[Any]]
    base_rate: FloatArray
    scale: FloatArray
    offset: FloatArray

    kind: ClassVar[str] = "trunk"

    def predict_proba(self, blocks: Sequence[Block]) -> FloatArray:
        """Return P(success) `(n, K)`: the mean of the networks' sigmoids, then calibrated.

        Raises:
            FeatureError: The blocks' widths do not add up to `n_features`, or a value is not finite.
        """
        probability = self._mean_sigmoid(self._side_by_side(blocks))
        if self._is_calibrated:
            clipped = np.clip(probability, 1e-7, 1 - 1e-7)
            probability = _sigmoid(self.scale * np.log(clipped / (1 - clipped)) + self.offset)
        return np.where(np.isnan(self.base_rate), probability, self.base_rate)

    def log_odds(self, blocks: Sequence[Block]) -> FloatArray:
        """Log-odds `(n, K)` of the networks' mean probability, before calibration."""
        probability = self._mean_sigmoid(self._side_by_side(blocks))
        return logit(np.where(np.isnan(self.base_rate), probability, self.base_rate))

    def directions(self) -> list[Part]:
        """The first layer's singular directions, over all blocks side by side.

        They are ordered in the space of the projections, whose axes have unit variance: among raw features those of
        least variance would come first, because the projections stretch them most.
        """
        first = principal(self.weights["weight1"])
        centre = np.zeros(self.n_features)
        columns = np.zeros((self.n_features, first.shape[1]))
        row = 0
        for projection in self.projections:
            width = projection.components.shape[1]
            read = slice(projection.start, projection.stop)
            centre[read] = projection.centre
            columns[read] += projection.components @ first[row : row + width]
            row += width
        return [Part(centre, columns)]

    def calibrated(self, scale: FloatArray, offset: FloatArray) -> Self:
        """Return the same trunk with Platt (or, with zero offsets, temperature) calibration.

        Args:
            scale: `(K,)` slopes on the logit of the ensemble's mean probability.
            offset: `(K,)` intercepts.
        """
        return replace(self, scale=np.asarray(scale, np.float64), offset=np.asarray(offset, np.float64))

    def state(self) -> tuple[Meta, Arrays]:
        """Return a JSON-able description and the arrays that rebuild this scorer exactly."""
        arrays: Arrays = {**self.weights, "base_rate": self.base_rate, "scale": self.scale, "offset": self.offset}
        for j, projection in enumerate(self.projections):
            arrays[f"centre.{j}"] = projection.centre
            arrays[f"components.{j}"] = projection.components
        columns = [[projection.start, projection.stop] for projection in self.projections]
        return {"kind": self.kind, "n_features": self.n_features, "columns": columns}, arrays

    @classmethod
    def from_state(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild a scorer from `state()`.

        Raises:
            ArtifactError: An array is missing.
        """
        try:
            projections = tuple(
                Projection(start, stop, arrays[f"centre.{j}"], arrays[f"components.{j}"])
                for j, (start, stop) in enumerate(meta["columns"])
            )
            weights = {name: arrays[name] for name in _LAYERS}
            rest = (arrays[name] for name in ("base_rate", "scale", "offset"))
            return cls(meta["n_features"], projections, weights, *rest)
        except KeyError as error:
            raise ArtifactError(f"trunk state lacks {error}; has {sorted(arrays)}") from None

    def _side_by_side(self, blocks: Sequence[Block]) -> NDArray[Any]:
        X: NDArray[Any] = blocks[0] if len(blocks) == 1 else np.hstack(blocks)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise FeatureError(f"trunk expects features of shape (n, {self.n_features}), got {X.shape}")
        return X

    @property
    def _is_calibrated(self) -> bool:
        return bool((self.scale != 1).any() or (self.offset != 0).any())

    def _mean_sigmoid(self, X: NDArray[Any]) -> FloatArray:
        w = self.weights
        members, width = w["weight2"].shape[:2]
        z = np.hstack([projection.apply(X) for projection in self.projections])
        if not np.isfinite(z).all():
            raise FeatureError("features hold NaN or infinite values; the trunk takes finite ones only")
        first = z @ w["weight1"] + w["bias1"]
        hidden = np.maximum(first, 0).reshape(len(X), members, width).transpose(1, 0, 2)
        hidden = np.maximum(hidden @ w["weight2"] + w["bias2"], 0)
        probability: FloatArray = _sigmoid((hidden @ w["weight3"] + w["bias3"]).astype(np.float64)).mean(axis=0)
        return probability


def stack_networks(networks: Sequence[Sequence[NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Stack E networks `(w1 (p, H1), b1, w2 (H1, H2), b2, w3 (H2, K), b3)` into a scorer's weights."""
    w1, b1, w2, b2, w3, b3 = (np.stack(part).astype(np.float32) for part in zip(*networks, strict=True))
    weights = {
        "weight1": np.concatenate(w1, axis=1),
        "bias1": b1.reshape(-1),
        "weight2": w2,
        "bias2": b2[:, None],
        "weight3": w3,
        "bias3": b3[:, None],
    }
    # safetensors writes memory as it lies, so a transposed view would come back scrambled.
    return {name: np.ascontiguousarray(weight) for name, weight in weights.items()}


def _sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return 0.5 * (1.0 + np.tanh(0.5 * x))
