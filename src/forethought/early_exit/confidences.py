"""How sure a look is: the learned gate, and the confidences of CALM (2207.07061) behind the same interface."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from forethought.early_exit.base import Look
from forethought.early_exit.model import ExitModel


@dataclass(frozen=True)
class GateConfidence:
    """p_l = sigmoid(z_l) of the exit's gate; a gate trained on 'this exit agrees' is CALM's linear classifier.

    Attributes:
        model: Whose gates.
    """

    model: ExitModel

    @property
    def macs(self) -> int:
        """Of one gate."""
        return self.model.heads.gate_macs

    def __call__(self, look: Look) -> torch.Tensor:
        """(rows,)."""
        return torch.sigmoid(self.model.heads.gate_logit(look.exit, look.hidden))


@dataclass(frozen=True)
class SoftmaxGap:
    """Probability of the likeliest token less that of the second. It computes the head at every look.

    Attributes:
        model: Whose readout.
    """

    model: ExitModel

    @property
    def macs(self) -> int:
        """A map and the head."""
        return self.model.heads.map_macs + self.model.student.head_macs

    def __call__(self, look: Look) -> torch.Tensor:
        """(rows,)."""
        logits = self.model.student.logits(self.model.heads.mapped(look.exit, look.hidden))
        top = torch.softmax(logits, dim=-1).topk(2, dim=-1).values
        return top[:, 0] - top[:, 1]


@dataclass(frozen=True)
class StateSaturation:
    """Cosine of the residual streams before and after the last layer that ran, on [0, 1]."""

    model: ExitModel

    @property
    def macs(self) -> int:
        """Three inner products."""
        return 3 * self.model.student.width

    def __call__(self, look: Look) -> torch.Tensor:
        """(rows,)."""
        cosine = functional.cosine_similarity(look.before, look.hidden, dim=-1)
        return ((cosine + 1) / 2).clamp(0, 1)  # a cosine may exceed 1 by its rounding, and so a threshold of 1
