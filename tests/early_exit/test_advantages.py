from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forethought.early_exit.advantages import group_normalised, leave_one_out, token_costs
from forethought.errors import DataError

GROUPS = arrays(np.float64, (3, 4), elements=st.floats(-5, 5, allow_subnormal=False))


def table(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_leave_one_out_by_hand() -> None:
    #        others' means: .5 .5 1 .. and 0 where all are wrong
    found = leave_one_out(table([1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]))
    assert torch.allclose(found, table([0.5, 0.5, -1.0], [0.0, 0.0, 0.0], [3.0, -1.5, -1.5]))


def test_group_normalised_by_hand() -> None:
    found = group_normalised(table([1.0, 0.0, 1.0, 0.0], [2.0, 2.0, 2.0, 6.0], [1.0, 1.0, 1.0, 1.0]))
    third = 3**-0.5  # mean 3, deviation sqrt(3)
    wanted = table([1.0, -1.0, 1.0, -1.0], [-third, -third, -third, 3 * third], [0.0, 0.0, 0.0, 0.0])
    assert torch.allclose(found, wanted, atol=1e-6)


@given(GROUPS)
def test_advantages_of_a_group_sum_to_zero(rewards: np.ndarray) -> None:
    given_rewards = torch.tensor(rewards)
    for advantages in (leave_one_out(given_rewards), group_normalised(given_rewards)):
        assert advantages.sum(dim=1).abs().max() < 1e-6


@given(GROUPS, st.integers(0, 3), st.floats(-5, 5))
def test_a_leave_one_out_baseline_does_not_see_the_answers_own_reward(
    rewards: np.ndarray, own: int, change: float
) -> None:
    before = torch.tensor(rewards)
    after = before.clone()
    after[:, own] += change
    moved = leave_one_out(after)[:, own] - leave_one_out(before)[:, own]
    assert torch.allclose(moved, torch.full_like(moved, change), atol=1e-9)


def test_the_leave_one_out_gradient_is_unbiased_by_enumeration() -> None:
    """Every group of three draws of a three-armed policy, weighted by its probability."""
    logits, rewards = torch.tensor([0.3, -0.8, 1.1], dtype=torch.float64), torch.tensor([1.0, 0.0, -2.0]).double()
    chance = torch.softmax(logits, dim=0)
    exact = chance * (rewards - (chance * rewards).sum())  # d E[R] / d logits
    score = torch.eye(3, dtype=torch.float64) - chance  # d log chance[a] / d logits, row a
    estimate = torch.zeros(3, dtype=torch.float64)
    for draws in product(range(3), repeat=3):
        advantages = leave_one_out(rewards[list(draws)][None])[0]
        estimate += chance[list(draws)].prod() * (advantages[:, None] * score[list(draws)]).mean(dim=0)
    assert torch.allclose(estimate, exact, atol=1e-12)


def test_normalising_takes_the_price_of_depth_out_where_all_are_right_and_leaving_one_out_does_not() -> None:
    depth = table([0.2, 0.5, 0.9, 1.0])

    def reward(price: float) -> torch.Tensor:
        return 1 - price * depth

    assert torch.allclose(group_normalised(reward(0.01)), group_normalised(reward(1.0)), atol=1e-4)
    assert torch.allclose(leave_one_out(reward(1.0)), 100 * leave_one_out(reward(0.01)))
    assert leave_one_out(reward(1.0)).abs().max() > 0.1


@pytest.mark.parametrize("size", [0, 1])
def test_a_group_of_one_has_no_others(size: int) -> None:
    with pytest.raises(DataError, match=f"groups of at least 2 answers, got {size}"):
        leave_one_out(torch.ones(2, size))


def test_token_costs_by_hand() -> None:
    cost = table([1.0, 3.0, 9.0], [2.0, 9.0, 9.0], [5.0, 5.0, 5.0], [5.0, 5.0, 5.0])
    taken = torch.tensor([[True, True, False], [True, False, False], [True, True, True], [True, True, True]])
    wanted = table([-1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0])  # means 2 and 5
    assert torch.equal(token_costs(cost, taken, 2), wanted)


MASKS = arrays(np.bool_, (4, 6))


@given(arrays(np.float64, (4, 5), elements=st.floats(0, 5)), MASKS)
def test_costs_of_a_groups_passes_sum_to_zero_and_padding_costs_nothing(cost: np.ndarray, mask: np.ndarray) -> None:
    taken = torch.tensor(mask)[:, 1:]  # a view, as `Answers.passes` is
    found = token_costs(torch.tensor(cost), taken, 2)
    assert found.view(2, -1).sum(dim=1).abs().max() < 1e-9
    assert not found[~taken].any()
    blotted = torch.where(taken, torch.tensor(cost), float("nan"))
    assert torch.equal(token_costs(blotted, taken, 2), found)


def test_groups_do_not_see_each_other() -> None:
    cost, taken = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)), torch.ones(4, 3, dtype=torch.bool)
    apart = torch.cat([token_costs(cost[:2], taken[:2], 2), token_costs(cost[2:], taken[2:], 2)])
    assert torch.allclose(token_costs(cost, taken, 2), apart)
