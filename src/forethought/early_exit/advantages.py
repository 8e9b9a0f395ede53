"""Who gets credit for a reward: answers against their group, and exits for what they themselves cost."""

from __future__ import annotations

import torch

from forethought.errors import DataError

_FLOOR = 1e-8
"""Added to a group's deviation, as the reference code does."""


def leave_one_out(rewards: torch.Tensor) -> torch.Tensor:
    """A_i = R_i - mean of the others' (RLOO, 2402.14740), (groups, K) -> (groups, K).

    Raises:
        DataError: Groups of one have no others.
    """
    size = rewards.shape[1]
    if size < 2:
        raise DataError(f"a leave-one-out baseline needs groups of at least 2 answers, got {size}")
    others = (rewards.sum(dim=1, keepdim=True) - rewards) / (size - 1)
    return rewards - others


def group_normalised(rewards: torch.Tensor) -> torch.Tensor:
    """A_i = (R_i - mean) / (std + 1e-8), the form of the paper's code (GRPO's), (groups, K) -> (groups, K).

    Where every answer of a group is right, only depth varies, and dividing by its deviation takes the price of
    depth out again: the push to leave early is as strong for a price of .01 as for one of 1.
    """
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return centred / (rewards.std(dim=1, correction=0, keepdim=True) + _FLOOR)


def token_costs(cost: torch.Tensor, taken: torch.Tensor, size: int) -> torch.Tensor:
    """What each pass costs more than its group's mean pass, (rows, passes).

    A pass's own cost is known the moment it leaves, so it needs no sharing among the answer's tokens.

    Args:
        cost: Of each pass, (rows, passes); rows of a group stand together.
        taken: Which passes count, bool, (rows, passes).
        size: Answers a group, K.
    """
    rows, passes = cost.shape
    grouped = torch.where(taken, cost, 0.0).reshape(rows // size, size * passes)
    count = taken.reshape(rows // size, size * passes).sum(dim=1, keepdim=True).clamp_min(1)
    mean = (grouped.sum(dim=1, keepdim=True) / count).repeat_interleave(size, dim=0)
    return torch.where(taken, cost - mean, 0.0)
