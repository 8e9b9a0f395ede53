from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import Question
from forethought.errors import ConfigError
from forethought.training import BestOfN, ConstrainedPolicy, PricedReward, RejectionSampling, Rollouts
from forethought.training.selections import feasible, one_of


def rollouts_of(success: Any, voted: Any, log_ratio: Any = 0.0) -> Rollouts:
    rates = np.asarray(success, dtype=np.float64)
    votes = np.broadcast_to(np.asarray(voted, dtype=np.bool_), rates.shape)
    ratio = np.broadcast_to(np.asarray(log_ratio, dtype=np.float64), rates.shape)
    questions = [Question.ask(f"q{i}") for i in range(len(rates))]
    return Rollouts(questions, rates, votes, 1.0 + 2 * votes, 5.0 + 10 * votes, ratio, np.zeros((len(rates), 0)))


# x1: both groups always right. x2: votes always right, single answers half (the paper's table 2).
TABLE = rollouts_of([[1, 1, 1, 1], [1, 1, 1, 0]], [[1, 1, 0, 0], [1, 1, 0, 0]])


def test_rejection_sampling_by_hand() -> None:
    weighed = RejectionSampling().weigh(TABLE, seed=0)
    assert weighed.weights.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    partly = rollouts_of([[0.5, 1.0, 0.0]], False)
    assert RejectionSampling().weigh(partly, seed=0).weights.tolist() == [[0, 1, 0]]


def test_best_of_n_by_hand() -> None:
    rollouts = rollouts_of([[0, 1, 0, 0], [0.2, 0.5, 0.1, 0.0], [0, 0, 0, 0], [1, 0, 1, 0]], False)
    drawn = [BestOfN().weigh(rollouts, seed=seed).weights for seed in range(20)]
    for weights in drawn:
        assert weights[:3].tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert {tuple(weights[3]) for weights in drawn} == {(1, 0, 0, 0), (0, 0, 1, 0)}


def test_the_constrained_policy_by_hand() -> None:
    """Right, and near the reference: the second row's only right trace is too far, at the bound is near enough."""
    ratio = [[0.0, 9.0, 3.0, 0.0], [0.0, 3.1, 0.0, -50.0], [-50.0, 0.0, 0.0, 0.0]]
    rollouts = rollouts_of([[0, 1, 1, 0], [0, 1, 0, 0.5], [1, 0, 0, 0]], False, ratio)
    wanted = [[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert feasible(rollouts, 3.0).tolist() == wanted
    assert ConstrainedPolicy(3.0).weigh(rollouts, seed=0).weights.tolist() == wanted
    assert ConstrainedPolicy().weigh(rollouts, seed=0).weights.sum() == 3


def test_the_priced_reward_by_hand() -> None:
    weighed = PricedReward(0.2).weigh(TABLE, seed=0)
    wanted = [[-0.1, -0.1, 0.1, 0.1], [0.15, 0.15, 0.35, -0.65]]
    assert np.allclose(weighed.weights, wanted)
    assert weighed.figures["reward"] == pytest.approx((4 * 0.8 + 3 + 0) / 8)


@given(
    st.integers(1, 4),
    st.integers(1, 9),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_advantages_sum_to_zero_within_a_question(n: int, m: int, price: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = PricedReward(price).weigh(rollouts_of(rng.random((n, m)), rng.random((n, m)) < 0.5), seed=0).weights
    assert np.allclose(weights.sum(axis=1), 0)


@pytest.mark.parametrize("price", [0.05, 0.3])
@pytest.mark.parametrize("voted", [False, True])
def test_where_all_fare_alike_nothing_is_learnt(price: float, voted: bool) -> None:
    """Not even the last bits of a mean: a step divides by the sum of all weights."""
    for m in range(1, 17):
        for success in (0.0, 1.0, 0.1):
            weights = PricedReward(price).weigh(rollouts_of(np.full((3, m), success), voted), seed=0).weights
            assert not weights.any()


@pytest.mark.parametrize("selection", [RejectionSampling(), BestOfN(), ConstrainedPolicy(), PricedReward()])
def test_nothing_right_and_everything_right(selection: Any) -> None:
    wrong = rollouts_of(np.zeros((2, 4)), False)
    assert not selection.weigh(wrong, seed=0).weights.any()
    weights = selection.weigh(rollouts_of(np.ones((2, 4)), False), seed=0).weights
    each = {"rejection_sampling": 4, "best_of_n": 1, "cgpo": 1, "priced_reward": 0}[selection.name]
    assert weights.sum(axis=1).tolist() == [each, each]
    assert selection.state() == {}
    selection.restore({})
    assert selection.settings["method"] == selection.name


def test_settings_tell_methods_apart() -> None:
    assert dict(ConstrainedPolicy(3.0).settings) == {"method": "cgpo", "kl_max": 3.0}
    assert dict(PricedReward(0.2).settings) == {"method": "priced_reward", "price": 0.2}
    assert dict(BestOfN().settings) == {"method": "best_of_n"}


def test_draws_are_even_over_seeds() -> None:
    among = np.array([[True, False, True, True], [False, False, False, False], [False, True, False, False]])
    total = sum((one_of(among, seed) for seed in range(3000)), np.zeros((3, 4)))
    assert np.allclose(total[0], [1000, 0, 1000, 1000], atol=110)  # 4 standard errors
    assert total[1:].tolist() == [[0, 0, 0, 0], [0, 3000, 0, 0]]


@pytest.mark.parametrize("price", [-0.1, 1.1, float("nan")])
def test_a_price_outside_its_range_is_refused(price: float) -> None:
    with pytest.raises(ConfigError, match=r"price must lie in \[0, 1\]"):
        PricedReward(price)
