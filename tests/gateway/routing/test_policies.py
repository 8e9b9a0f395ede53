from __future__ import annotations

import pytest

from forethought.allocation import AbstentionFloor, Argmax, MeanCostCap, Tolerance, Utility, Value
from forethought.core import Decision, Prediction
from forethought.gateway.config import NamedPolicy
from forethought.gateway.problems import Problem
from forethought.gateway.routing.policies import PolicyNames, order, value_of_success

TABLE = (
    Prediction("a", 0.9, 1.0, 0.010),
    Prediction("b", 0.8, 1.0, 0.001),
    Prediction("c", 0.8, 1.0, 0.000),
    Prediction("d", 0.2, 1.0, 0.000),
)


@pytest.fixture(scope="module")
def names() -> PolicyNames:
    return PolicyNames({"thrifty": NamedPolicy(rule="utility", setting={"lam": 0.5, "low": 0.0, "high": 1.0})})


@pytest.mark.parametrize(
    ("asked", "policy"),
    [
        ("argmax", Argmax()),
        ("tolerance:0.1", Tolerance(0.1)),
        ("value:1e-3", Value(0.001)),
        ("thrifty", Utility(0.5, 0.0, 1.0)),
    ],
)
def test_rules_are_had_by_name(names, asked, policy):
    assert names[asked] == policy


@pytest.mark.parametrize("asked", ["", "nothing", "tolerance", "argmax:1", "utility:0.1", "single:0", "thrifty:1", ":"])
def test_an_unknown_rule_is_told_what_there_is(names, asked):
    said = r"forethought/thrifty, forethought/argmax.*/tolerance:<tau>.*, e\.g\. forethought/tolerance:0\.05$"
    with pytest.raises(Problem, match=said) as refused:
        names[asked]
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


@pytest.mark.parametrize("value", ["", "much", "nan", "inf", "-1", "2", "1e400"])
def test_a_value_that_a_rule_does_not_take_is_refused(names, value):
    with pytest.raises(Problem) as refused:
        names[f"tolerance:{value}"]
    assert (refused.value.status, refused.value.code) == (400, "invalid_policy")


def test_what_is_allowed_can_be_asked_for(names):
    for name in names.allowed:
        asked = name.partition(":")[0] + (":0.5" if ":" in name else "")
        assert names[asked].name


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Argmax(), "acbd"),
        (Tolerance(0.05), "acbd"),
        (Value(0.05), "cbad"),
        (AbstentionFloor(Value(0.05), 0.1), "cbad"),
        (Utility(0.5, 0.0, 0.01), "cbad"),
        (MeanCostCap(1.0, 50.0, 50.0, 0.0), "cbad"),
    ],
)
def test_targets_are_asked_by_falling_worth(policy, expected):
    decision = Decision(expected[0], TABLE, policy.name, {}, "")
    assert "".join(order(policy, decision, "abcd")) == expected


def test_the_chosen_target_comes_first_and_the_forbidden_never():
    decision = Decision("d", TABLE, "argmax", {}, "")
    assert order(Argmax(), decision, ["d", "b", "c"]) == ("d", "c", "b")


def test_a_rule_says_what_a_right_answer_is_worth_or_the_configuration_does():
    assert value_of_success(Value(0.5), 0.01) == 0.5
    assert value_of_success(AbstentionFloor(Value(0.5), 0.1), 0.01) == 0.5
    assert value_of_success(Argmax(), 0.01) == 0.01
