"""Who leaves at an exit: nobody, everybody from a layer on, by confidence, by chance, or by a schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from forethought.early_exit.base import Confidence, Look
from forethought.errors import ConfigError
from forethought.targets.sampling import uniform


@dataclass(frozen=True)
class Never:
    """Every token goes to full depth: the unmodified model, or the adapted one, at all its layers."""

    name = "never"
    macs = 0
    monotone = True

    def leaves(self, look: Look) -> torch.Tensor:
        """Nobody."""
        return torch.zeros(len(look.hidden), dtype=torch.bool)


@dataclass(frozen=True)
class StaticCut:
    """Every token leaves at one layer.

    Attributes:
        layer: Of an exit.
    """

    layer: int
    name = "static"
    macs = 0
    monotone = True

    def leaves(self, look: Look) -> torch.Tensor:
        """Everybody, from `layer` on."""
        return torch.full((len(look.hidden),), look.layer >= self.layer)


@dataclass(frozen=True)
class Threshold:
    """Leave where the confidence exceeds a threshold (CALM, 2207.07061).

    Attributes:
        confidence: How sure a look is.
        threshold: In [0, 1]; at 1 nobody leaves.
    """

    confidence: Confidence
    threshold: float
    name = "threshold"

    def __post_init__(self) -> None:
        check_threshold(self.threshold)

    @property
    def macs(self) -> int:
        """Those of the confidence."""
        return self.confidence.macs

    def leaves(self, look: Look) -> torch.Tensor:
        """Rows that are sure enough; NaN is not."""
        return self.confidence(look) > self.threshold


@dataclass(frozen=True)
class DecayingThreshold:
    """A threshold that is stricter on the first tokens, whose errors all later ones inherit (CALM, section 4).

    lambda(t) = clip(.9 lambda + .1 exp(-tau t / N), 0, 1).

    Attributes:
        confidence: How sure a look is.
        threshold: lambda, in [0, 1].
        decay: tau.
        length: N, the longest answer.
    """

    confidence: Confidence
    threshold: float
    decay: float
    length: int
    name = "decaying"

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        if not self.decay >= 0 or self.length < 1:
            raise ConfigError(f"decay must be >= 0 and length >= 1, got {self.decay} and {self.length}")

    @property
    def macs(self) -> int:
        """Those of the confidence."""
        return self.confidence.macs

    def at(self, step: int) -> float:
        """The threshold of one pass."""
        value = 0.9 * self.threshold + 0.1 * math.exp(-self.decay * step / self.length)
        return min(max(value, 0.0), 1.0)

    def leaves(self, look: Look) -> torch.Tensor:
        """Rows that are sure enough for this step."""
        return self.confidence(look) > self.at(look.step)


@dataclass(frozen=True)
class Sampled:
    """Leave with the gate's probability (2603.21376): how rollouts explore.

    The draws come from each row's own stream, apart from those of its tokens, whatever the batch.

    Attributes:
        confidence: p.
        floor: Probabilities below it count as 0 (the reference code has .1).
    """

    confidence: Confidence
    floor: float = 0.0
    name = "sampled"

    def __post_init__(self) -> None:
        check_threshold(self.floor)

    @property
    def macs(self) -> int:
        """Those of the confidence."""
        return self.confidence.macs

    def leaves(self, look: Look) -> torch.Tensor:
        """Rows whose draw is below their probability."""
        probability = self.confidence(look)
        counter = look.step + ((look.exit + 1) << 32)
        draws = torch.tensor([uniform(key, counter) for key in look.keys])
        return (draws < probability) & (probability >= self.floor)


@dataclass(frozen=True)
class MonotoneSchedule:
    """One depth a position for the whole batch, never deeper than the position before (SkipDecode, 2307.02628).

    No later token then needs a key or value that an earlier one skipped.

    Attributes:
        first: Depth of the first pass of an answer.
        last: Depth from pass `length` on; at most `first`.
        length: Passes over which the depth falls.
    """

    first: int
    last: int
    length: int
    name = "schedule"
    macs = 0
    monotone = True

    def __post_init__(self) -> None:
        if not 1 <= self.last <= self.first or self.length < 1:
            raise ConfigError(
                "a schedule falls from first to last >= 1 over length >= 1 passes, got "
                f"{self.first}, {self.last} and {self.length}"
            )

    def depth(self, step: int) -> int:
        """Layers of one pass, counted from 1."""
        share = min((step - 1) / max(self.length - 1, 1), 1.0)
        return math.ceil(self.first - share * (self.first - self.last))

    def leaves(self, look: Look) -> torch.Tensor:
        """Everybody once the position's depth is reached."""
        return torch.full((len(look.hidden),), look.layer >= self.depth(look.step))


@dataclass(frozen=True)
class Prescribed:
    """Depths laid down beforehand.

    Attributes:
        depths: (rows, passes): the layer at which each pass leaves, L for none.
    """

    depths: torch.Tensor
    name = "prescribed"
    macs = 0

    def leaves(self, look: Look) -> torch.Tensor:
        """Rows whose depth this layer is."""
        return self.depths[look.rows, look.step - 1] <= look.layer


def check_threshold(value: float) -> None:
    """Raise ConfigError unless a threshold lies in [0, 1]."""
    if not 0 <= value <= 1:
        raise ConfigError(f"an exit threshold must lie in [0, 1], got {value}")
