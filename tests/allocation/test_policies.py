import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forethought.allocation import (
    AbstentionFloor,
    Argmax,
    Cascade,
    MeanCostCap,
    Single,
    Tolerance,
    Utility,
    Value,
    policies,
    policy_from,
)
from forethought.errors import ConfigError, DataError

# Three targets, from small to large, at 1, 3 and 9 USD; worked by hand.
P = np.array([[0.50, 0.70, 0.90], [0.80, 0.85, 0.86], [0.10, 0.20, 0.15], [0.60, 0.60, 0.60]])
COST = np.tile([1.0, 3.0, 9.0], (4, 1))

ALL = [
    Argmax(),
    Tolerance(0.2),
    Utility(0.4, 1.0, 9.0),
    Value(20.0),
    Cascade(0.55),
    Single(1),
    MeanCostCap(2.0, 0.05, 0.04, 0.5),
    AbstentionFloor(Tolerance(0.1), 0.3),
]


@pytest.mark.parametrize(
    ("policy", "choices"),
    [
        (Argmax(), [2, 2, 1, 0]),
        (Tolerance(0.0), [2, 2, 1, 0]),
        (Tolerance(0.2), [1, 0, 0, 0]),
        (Tolerance(1.0), [0, 0, 0, 0]),
        (Utility(0.0, 1.0, 9.0), [2, 2, 1, 0]),
        # p - .4 (c - 1) / 8: .50 .60 .50 | .80 .75 .46 | .10 .10 -.25 | .60 .50 .20
        (Utility(0.4, 1.0, 9.0), [1, 0, 0, 0]),
        # 20 p - c: 9 11 9 | 15 14 8.2 | 1 1 -6 | 11 9 3
        (Value(20.0), [1, 0, 0, 0]),
        # 40 p - c: 19 25 27 | 31 31 25.4 | 3 5 -3 | 23 21 15
        (Value(40.0), [2, 0, 1, 0]),
        (Cascade(0.55), [1, 0, 2, 0]),
        (Cascade(0.6), [1, 0, 2, 2]),
        (Single(1), [1, 1, 1, 1]),
        (AbstentionFloor(Argmax(), 0.2), [2, 2, 1, 0]),
        (AbstentionFloor(Argmax(), 0.3), [2, 2, -1, 0]),
        (AbstentionFloor(Cascade(0.55), 0.7), [1, 0, -1, -1]),
    ],
)
def test_hand_worked_table(policy, choices):
    assert policy.choose(P, COST).tolist() == choices


def test_order_of_columns_is_not_order_of_cost():
    dear_first = P[:, ::-1], COST[:, ::-1]
    for policy in (Tolerance(0.2), Utility(0.4, 1.0, 9.0), Value(20.0), Cascade(0.55)):
        assert (2 - policy.choose(*dear_first)).tolist() == policy.choose(P, COST).tolist()


def test_equal_in_all_goes_to_the_earlier():
    flat = np.full((2, 3), 0.5), np.ones((2, 3))
    for policy in (Argmax(), Tolerance(0.1), Value(1.0), Cascade(0.2)):
        assert policy.choose(*flat).tolist() == [0, 0]


tables = st.tuples(st.integers(1, 6), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=st.sampled_from([0.0, 0.1, 0.3, 0.30000001, 0.5, 0.9, 1.0])),
        arrays(float, shape, elements=st.sampled_from([0.0, 0.5, 1.0, 2.0, 9.0])),
    )
)


@pytest.mark.parametrize("policy", [p for p in ALL if p.name != "single"], ids=lambda p: p.name)
@given(table=tables)
def test_one_row_chooses_as_a_batch_does(policy, table):
    success, cost = table
    batch = policy.choose(success, cost)
    assert batch.dtype == np.int64
    alone = [int(policy.choose(success[[i]], cost[[i]])[0]) for i in range(len(success))]
    assert batch.tolist() == alone


@given(table=tables, tau=st.floats(0, 1))
def test_tolerance_keeps_its_word_at_least_cost(table, tau):
    success, cost = table
    rows = np.arange(len(success))
    choice = Tolerance(tau).choose(success, cost)
    best = success.max(axis=1)
    assert (success[rows, choice] >= best - tau - 1e-9).all()
    cheaper = cost < cost[rows, choice][:, None]
    assert (success[cheaper] < np.broadcast_to(best[:, None], success.shape)[cheaper] - tau + 1e-9).all()


@pytest.mark.parametrize("policy", ALL, ids=lambda p: p.name)
def test_a_policy_comes_back_from_its_name_and_setting(policy):
    assert policy_from(policy.name, policy.setting) == policy
    assert policy.because


def test_inputs_are_not_changed():
    success, cost = P.copy(), COST.copy()
    for policy in ALL:
        policy.choose(success, cost)
    assert (success == P).all()
    assert (cost == COST).all()


@pytest.mark.parametrize(
    ("success", "cost", "message"),
    [
        (np.array([[0.5, np.nan]]), np.ones((1, 2)), "success"),
        (np.array([[0.5, 1.1]]), np.ones((1, 2)), "success"),
        (np.array([[0.5, -0.1]]), np.ones((1, 2)), "success"),
        (np.array([[0.5, 0.1]]), np.array([[1.0, np.nan]]), "cost"),
        (np.array([[0.5, 0.1]]), np.array([[1.0, -1.0]]), "cost"),
        (np.array([[0.5, 0.1]]), np.array([[1.0, np.inf]]), "cost"),
        (np.array([[0.5, 0.1]]), np.ones((2, 2)), "shape"),
        (np.ones((0, 2)), np.ones((0, 2)), "shape"),
        (np.ones(2), np.ones(2), "shape"),
    ],
)
@pytest.mark.parametrize("policy", ALL, ids=lambda p: p.name)
def test_bad_tables(policy, success, cost, message):
    with pytest.raises(DataError, match=message):
        policy.choose(success, cost)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tolerance(1.2),
        lambda: Tolerance(float("nan")),
        lambda: Utility(-1.0, 0.0, 1.0),
        lambda: Utility(1.0, 1.0, 1.0),
        lambda: Value(-1.0),
        lambda: Value(float("nan")),
        lambda: Cascade(2.0),
        lambda: AbstentionFloor(Argmax(), -0.1),
        lambda: AbstentionFloor(AbstentionFloor(Argmax(), 0.1), 0.1),
        lambda: MeanCostCap(0.0, 1.0, 1.0, 0.0),
        lambda: MeanCostCap(1.0, 1.0, 2.0, 0.0),
        lambda: policy_from("best", {}),
        lambda: policy_from("tolerance", {"lam": 0.2}),
        lambda: policy_from("tolerance", {}),
        lambda: policy_from("argmax+floor", {}),
    ],
)
def test_bad_settings(make):
    with pytest.raises(ConfigError):
        make()


def test_unknown_policy_names_the_allowed():
    with pytest.raises(ConfigError, match="'best'; allowed: argmax, cascade, mean_cost_cap"):
        policies["best"]


def test_utility_takes_bounds_from_mean_costs():
    assert Utility.normalised_by(0.3, COST) == Utility(0.3, 1.0, 9.0)
