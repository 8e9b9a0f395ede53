from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.allocation import SmoothedMargins
from forethought.core import Question
from forethought.errors import ConfigError
from forethought.training import InferenceAware, Rollouts


def rollouts_of(success: Any, voted: Any, **changes: Any) -> Rollouts:
    rates, votes = np.asarray(success, dtype=np.float64), np.asarray(voted, dtype=np.bool_)
    n, _ = rates.shape
    fields = {
        "trials": np.where(votes, 4.0, 1.0),
        "tokens": np.where(votes, 40.0, 10.0),
        "log_ratio": np.zeros_like(rates),
        "features": np.zeros((n, 0)),
        **changes,
    }
    return Rollouts([Question.ask(f"q{i}") for i in range(n)], rates, votes, **fields)


VOTED = [[1, 1, 0, 0], [1, 1, 0, 0]]
TABLE = rollouts_of([[1, 1, 1, 1], [1, 1, 1, 0]], VOTED)
"""The paper's table 2: voting gains nothing on x1, and .5 on x2."""


def random_rollouts(n: int, m: int, seed: int) -> Rollouts:
    rng = np.random.default_rng(seed)
    voted = rng.random((n, m)) < 0.5
    trials = np.where(voted, rng.integers(3, 9, (n, m)), 1).astype(np.float64)
    tokens = trials * rng.integers(3, 12, (n, m))
    success = (rng.random((n, m)) < 0.5).astype(np.float64)
    features = rng.normal(size=(n, 2))
    return rollouts_of(success, voted, trials=trials, tokens=tokens, features=features)


# --- by hand --------------------------------------------------------------------------------------


def test_the_paper_table_2() -> None:
    """At q = .5 one single answer of x1 and one right vote of x2, whichever of equals."""
    seen = set()
    for seed in range(60):
        weighed = InferenceAware(0.5).weigh(TABLE, seed=seed)
        assert weighed.weights[0, :2].tolist() == [0, 0]
        assert weighed.weights[1, 2:].tolist() == [0, 0]
        assert weighed.weights.sum(axis=1).tolist() == [1, 1]
        assert weighed.figures == {"accepted": 2, "accepted_share": 0.5, "used": 0.5, "programme_gain": 0.5}
        seen.add(tuple(weighed.weights.argmax(axis=1)))
    assert seen == {(2, 0), (2, 1), (3, 0), (3, 1)}


@pytest.mark.parametrize(("budget", "votes", "gain"), [(0.0, 0, -0.5), (0.49, 0, -0.5), (0.5, 1, 0.5), (1.0, 1, 0.5)])
def test_budgets_of_table_2(budget: float, votes: int, gain: float) -> None:
    """A vote that gains nothing is not cast, even where the budget has room for it."""
    weighed = InferenceAware(budget).weigh(TABLE, seed=0)
    assert weighed.weights[np.asarray(VOTED, dtype=bool)].sum() == votes
    assert weighed.figures["programme_gain"] == pytest.approx(gain)


def test_the_listing_sees_frequencies() -> None:
    """x gains by voting, .67 against 0; it voted thrice of four. Joint: .5, and on y, which voted once, it turns."""
    rollouts = rollouts_of([[1, 1, 0, 0], [1, 1, 0, 0]], [[1, 1, 1, 0], [1, 0, 0, 0]])
    joint = InferenceAware(1.0, margins="joint").weigh(rollouts, seed=0)
    # y: joint margin 1/4 - 1/4 = 0, conditional 1 - 1/3.
    assert joint.weights[1].tolist() == [0, 1, 0, 0]
    conditional = InferenceAware(1.0).weigh(rollouts, seed=0)
    assert conditional.weights[1].tolist() == [1, 0, 0, 0]
    assert joint.weights[0, :2].sum() == conditional.weights[0, :2].sum() == 1


def test_a_question_of_one_group_has_no_margin() -> None:
    only_votes, only_single = rollouts_of([[1, 1]], [[1, 1]]), rollouts_of([[1, 0]], [[0, 0]])
    assert InferenceAware(0.5).weigh(only_votes, seed=0).weights.sum() == 0  # a share of 1 is above the cap
    assert InferenceAware(1.0).weigh(only_votes, seed=0).weights.sum() == 1
    weighed = InferenceAware(0.0).weigh(only_single, seed=0)
    assert weighed.weights.tolist() == [[1, 0]]
    assert weighed.figures["programme_gain"] == 0


@pytest.mark.parametrize("unit", ["share", "trials", "tokens"])
def test_all_wrong_all_right_and_all_too_far(unit: Any) -> None:
    selection = InferenceAware(1.0 if unit == "share" else 10.0, unit=unit)
    wrong = selection.weigh(rollouts_of(np.zeros((2, 4)), VOTED), seed=0)
    assert not wrong.weights.any()
    assert wrong.figures == {"accepted": 0, "accepted_share": 0, "used": 0, "programme_gain": 0}
    right = selection.weigh(rollouts_of(np.ones((2, 4)), VOTED), seed=0)
    assert right.weights.sum(axis=1).tolist() == [1, 1]
    assert right.weights[:, :2].sum() == 0
    near = InferenceAware(selection.budget, unit=unit, kl_max=2.0)
    far = rollouts_of(np.ones((2, 4)), VOTED, log_ratio=np.array([[3.0, 3, 3, 2], [3, 3, 3, 3]]))
    assert near.weigh(far, seed=0).weights.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


def test_a_budget_of_trials_by_hand() -> None:
    """A mean of 2.5 trials pays for one vote of two; x2 is where it gains."""
    weighed = InferenceAware(2.5, unit="trials").weigh(TABLE, seed=0)
    assert weighed.weights[0, 2:].sum() == weighed.weights[1, :2].sum() == 1
    assert weighed.figures["used"] == 2.5
    tight = InferenceAware(2.49, unit="trials").weigh(TABLE, seed=0)
    assert tight.weights[:, :2].sum() == 0
    tokens = InferenceAware(25, unit="tokens").weigh(TABLE, seed=0)
    assert tokens.weights[1, :2].sum() == 1
    assert tokens.figures["used"] == 25


# --- caps -----------------------------------------------------------------------------------------


@given(
    st.integers(1, 9),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.sampled_from(["share", "trials", "tokens"]),
)
def test_the_cap_is_kept_among_what_is_accepted(n: int, m: int, seed: int, level: float, unit: Any) -> None:
    rollouts = random_rollouts(n, m, seed)
    budget = {"share": level, "trials": 1 + 7 * level, "tokens": 1 + 80 * level}[unit]
    weighed = InferenceAware(budget, unit=unit).weigh(rollouts, seed=seed)
    taken = weighed.weights > 0
    assert set(np.unique(weighed.weights)) <= {0.0, 1.0}
    assert (taken.sum(axis=1) <= 1).all()
    assert rollouts.right[taken].all()
    cost = {"share": rollouts.voted, "trials": rollouts.trials, "tokens": rollouts.tokens}[unit][taken]
    assert taken.sum() == weighed.figures["accepted"]
    if len(cost):
        assert cost.mean() <= budget * (1 + 1e-9) + 1e-12
        assert weighed.figures["used"] == pytest.approx(cost.mean())
        assert weighed.figures["accepted_share"] == pytest.approx(rollouts.voted[taken].mean())


def test_the_share_is_of_what_is_accepted_and_not_of_all() -> None:
    """Of six questions two are solvable: half of two is one vote. The paper's listing would allow twelve."""
    success = np.zeros((6, 4))
    success[:2] = [[1, 1, 0, 0], [1, 1, 1, 0]]
    rollouts = rollouts_of(success, [[1, 0, 1, 0]] * 6)
    for seed in range(10):
        weighed = InferenceAware(0.5).weigh(rollouts, seed=seed)
        assert weighed.weights[rollouts.voted].sum() <= 1
        assert weighed.figures["accepted"] == 2


def test_orders_of_the_two_goals() -> None:
    """Votes alone solve x and harm it: to serve it costs gain."""
    rollouts = rollouts_of([[1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], [[1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]])
    smoother = SmoothedMargins(0)
    smoother.update(np.zeros((1, 0)), np.array([-0.5]), np.array([1e6]))
    counts = {
        order: InferenceAware(0.5, margins="smoothed", smoother=smoother, order=order).weigh(rollouts, seed=0)  # type: ignore[arg-type]
        for order in ("served", "gain")
    }
    assert counts["served"].figures["accepted"] == 2
    assert counts["gain"].figures["accepted"] == 1


# --- memory ---------------------------------------------------------------------------------------


def smoothed(**changes: Any) -> InferenceAware:
    return InferenceAware(0.4, margins="smoothed", smoother=SmoothedMargins(2, penalty=0.5, **changes))


def test_what_was_learnt_is_taken_up_again() -> None:
    batches = [random_rollouts(12, 6, seed) for seed in range(5)]
    whole, first, second, forgetful = smoothed(), smoothed(), smoothed(), smoothed()
    for number, batch in enumerate(batches[:3]):
        whole.weigh(batch, seed=number)
        first.weigh(batch, seed=number)
    second.restore({name: array.copy() for name, array in first.state().items()})
    differs = False
    for number, batch in enumerate(batches[3:], start=3):
        wanted, found = whole.weigh(batch, seed=number), second.weigh(batch, seed=number)
        assert wanted.weights.tolist() == found.weights.tolist()
        assert wanted.figures == found.figures
        differs |= wanted.figures != forgetful.weigh(batch, seed=number).figures
    assert differs
    assert all(np.array_equal(whole.state()[name], second.state()[name]) for name in ("moments", "products"))


def test_a_smoother_borrows_from_like_questions() -> None:
    """A question that never voted twice is allotted a vote, since those like it gained by one."""
    features = np.array([[1.0], [1.0], [1.0], [-1.0], [-1.0], [1.0]])
    success = [[1, 1, 0, 0]] * 3 + [[1, 1, 1, 1]] * 2 + [[1, 1, 1, 1]]
    voted = [[1, 1, 0, 0]] * 5 + [[1, 0, 0, 0]]
    rollouts = rollouts_of(success, voted, features=features)
    selection = InferenceAware(1.0, margins="smoothed", smoother=SmoothedMargins(1, penalty=1e-3))
    assert selection.weigh(rollouts, seed=0).weights[5, 0] == 0, "a first batch has nothing to borrow from"
    assert selection.weigh(rollouts, seed=0).weights[5].tolist() == [1, 0, 0, 0]
    assert InferenceAware(1.0).weigh(rollouts, seed=0).weights[5, 0] == 0


def test_without_a_smoother_there_is_no_memory() -> None:
    selection = InferenceAware(0.5)
    assert selection.state() == {}
    selection.restore({})


def test_settings_tell_runs_apart() -> None:
    found = {repr(sorted(selection.settings.items())) for selection in (
        InferenceAware(0.5), InferenceAware(0.4), InferenceAware(1.0), InferenceAware(1.0, unit="trials"),
        InferenceAware(0.5, margins="joint"), InferenceAware(0.5, kl_max=5.0), InferenceAware(0.5, order="gain"),
        smoothed(), smoothed(discount=0.5),
    )}  # fmt: skip
    assert len(found) == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "usd"}, "unit must be 'share', 'trials' or 'tokens', got 'usd'"),
        ({"margins": "guessed"}, "margins must be .* got 'guessed'"),
        ({"budget": 1.1}, r"a budget in share must be >= 0 and <= 1, got 1\.1"),
        ({"budget": -0.1}, "a budget in share"),
        ({"budget": float("nan")}, "a budget in share"),
        ({"budget": 0.9, "unit": "trials"}, r"a budget in trials must be >= 1, got 0\.9"),
        ({"budget": 0.5, "unit": "tokens"}, "a budget in tokens must be >= 1"),
        ({"margins": "smoothed"}, "come together"),
        ({"smoother": SmoothedMargins(0)}, "come together"),
        ({"order": "best"}, "order must be 'served' or 'gain', got 'best'"),
        ({"order": "gain", "unit": "trials", "budget": 2.0}, "a budget in trials serves first"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        InferenceAware(**{"budget": 0.5, **changes})
