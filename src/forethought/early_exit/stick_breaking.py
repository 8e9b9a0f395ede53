"""The distribution over exits that a row of gates makes: stop at the first that says so (2603.21376)."""

from __future__ import annotations

import torch
from torch.nn import functional


def exit_log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """log pi: pi_k = p_k prod_{j<k} (1 - p_j), and full depth takes the rest.

    Args:
        logits: z, p = sigmoid(z), (..., K).

    Returns:
        (..., K + 1), the last of full depth; exponentials sum to 1.
    """
    stop = functional.logsigmoid(logits)
    passed = functional.logsigmoid(-logits).cumsum(dim=-1)
    first = torch.zeros_like(passed[..., :1])
    return torch.cat([first, passed], dim=-1) + torch.cat([stop, first], dim=-1)


def exit_probabilities(stop: torch.Tensor) -> torch.Tensor:
    """pi of given stopping probabilities, (..., K) in [0, 1] -> (..., K + 1)."""
    passed = (1 - stop).cumprod(dim=-1)
    first = torch.ones_like(passed[..., :1])
    return torch.cat([first, passed], dim=-1) * torch.cat([stop, first], dim=-1)


def gate_targets(divergence: torch.Tensor, kappa: float) -> torch.Tensor:
    """q = 1 - tanh(kappa KL / 2): 1 where an exit's prediction is the full one, 0 where it is far from it.

    Args:
        divergence: KL(full || exit) in nats; float error below 0 counts as 0, or q would exceed 1.
        kappa: How fast trust falls.
    """
    return 1 - torch.tanh(kappa * divergence.clamp_min(0) / 2)
