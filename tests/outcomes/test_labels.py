from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.core import Outcome, Prices, Question
from forethought.errors import ConfigError, DataError
from forethought.outcomes.labels import (
    costs,
    greedy,
    human_difficulty,
    majority,
    mean_tokens,
    pass_at_k,
    success_rate,
)
from forethought.outcomes.table import Outcomes


def samples(successes: list[float | None], answers: list[str | None] | None = None, target: str = "t") -> list[Outcome]:
    answers = answers or [None] * len(successes)
    return [
        Outcome("q", target, sample=index, success=success, answer=answer, unparsable=answer == "?")
        for index, (success, answer) in enumerate(zip(successes, answers, strict=True))
    ]


TABLE = Outcomes.from_rows(
    [
        Outcome("a", "x", success=1.0, input_tokens=10, output_tokens=100, cost_usd=0.5),
        Outcome("a", "x", sample=1, success=0.0, input_tokens=10, output_tokens=300),
        Outcome("a", "y", success=0.25, cost_usd=0.125),
        Outcome("b", "x", success=None, output_tokens=50),
    ]
)


def test_greedy_is_the_first_sample_and_keeps_fractions() -> None:
    labels = greedy(TABLE, ["b", "a"], ["y", "x"])

    np.testing.assert_array_equal(labels.success, [[np.nan, np.nan], [0.25, 1.0]])
    np.testing.assert_array_equal(labels.trials, [[0, 0], [1, 1]])
    assert (labels.question_ids, labels.targets) == (("b", "a"), ("y", "x"))


def test_success_rate_counts_its_trials() -> None:
    labels = success_rate(TABLE)

    np.testing.assert_array_equal(labels.success, [[0.5, 0.25], [np.nan, np.nan]])
    np.testing.assert_array_equal(labels.trials, [[2, 1], [0, 0]])


def test_unknown_rows_are_missing_not_wrong() -> None:
    assert np.isnan(greedy(TABLE, ["elsewhere"], ["x"]).success).all()


def test_missing_samples_do_not_lower_the_rate() -> None:
    labels = success_rate(Outcomes.from_rows(samples([1.0, None, 1.0, 0.0])))

    assert labels.success.item() == pytest.approx(2 / 3)
    assert labels.trials.item() == 3


def test_asking_twice_for_a_row_or_column_is_refused() -> None:
    with pytest.raises(DataError, match="question id 'a' is asked for twice"):
        greedy(TABLE, ["a", "b", "a"])
    with pytest.raises(DataError, match="target 'x' is asked for twice"):
        success_rate(TABLE, targets=["x", "x"])


@pytest.mark.parametrize(
    ("successes", "answers", "k", "expected"),
    [
        ([0, 1, 1], ["b", "a", "a"], 3, 1.0),
        ([0, 1, 1], ["b", "a", "a"], 1, 0.0),
        ([0, 1], ["b", "a"], 2, 0.0),  # a tie goes to the earlier
        ([1, 0], ["a", "b"], 2, 1.0),
        ([0, 0, 1], ["?", "?", "a"], 3, 1.0),  # unparsable samples cast no vote
        ([0, 0], ["?", "?"], 2, 0.0),
        ([1, None, 1], ["a", "a", "a"], 3, np.nan),  # fewer than k graded
        ([None, 1, 1], ["b", "a", "a"], 2, 1.0),  # the first two graded
    ],
)
def test_majority(successes: list[float | None], answers: list[str | None], k: int, expected: float) -> None:
    labels = majority(Outcomes.from_rows(samples(successes, answers)), k)

    np.testing.assert_array_equal(labels.success, [[expected]])
    np.testing.assert_array_equal(labels.trials, [[0.0 if np.isnan(expected) else 1.0]])


def test_majority_does_not_depend_on_row_order() -> None:
    rows = samples([0, 1, 1, 0, 0], ["b", "a", "a", "b", "c"])

    forward, backward = (majority(Outcomes.from_rows(order), 5) for order in (rows, rows[::-1]))

    np.testing.assert_array_equal(forward.success, backward.success)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=9), st.integers(1, 9))
def test_pass_at_k_is_the_mean_over_all_subsets(successes: list[int], k: int) -> None:
    labels = pass_at_k(Outcomes.from_rows(samples([float(s) for s in successes])), k)

    subsets = [max(subset) for subset in combinations(successes, k)]
    expected = np.mean(subsets) if subsets else np.nan
    np.testing.assert_allclose(labels.success, [[expected]], atol=1e-12)


def test_pass_at_k_of_many_samples_stays_finite() -> None:
    labels = pass_at_k(Outcomes.from_rows(samples([1.0] + [0.0] * 999)), 100)

    assert labels.success.item() == pytest.approx(0.1)


def test_pass_at_k_refuses_fractions_among_the_asked_rows_only() -> None:
    with pytest.raises(DataError, match=r"got 0\.25"):
        pass_at_k(TABLE, 1)
    assert pass_at_k(TABLE, 1, targets=["x"]).success[0, 0] == 0.5


@pytest.mark.parametrize("label", [majority, pass_at_k])
def test_k_must_be_positive(label: object) -> None:
    with pytest.raises(ConfigError, match="k must be >= 1"):
        label(TABLE, 0)  # type: ignore[operator]


def test_mean_tokens() -> None:
    given_in, given_out = mean_tokens(TABLE)

    np.testing.assert_array_equal(given_in, [[10, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(given_out, [[200, np.nan], [50, np.nan]])


def test_costs_follow_the_prices_given_and_fall_back_to_recorded_ones() -> None:
    cost = costs(TABLE, {"x": Prices(input=1.0, output=2.0)})

    np.testing.assert_allclose(cost, [[410e-6, 0.125], [np.nan, np.nan]])


def test_a_free_side_needs_no_token_count() -> None:
    cost = costs(TABLE, {"x": Prices(input=0.0, output=2.0)}, ["b"], ["x"])

    np.testing.assert_allclose(cost, [[100e-6]])


def test_human_difficulty_is_nan_where_unrated() -> None:
    rated = [Question.ask("a", difficulty=3.0), Question.ask("b")]

    np.testing.assert_array_equal(human_difficulty(rated), [3.0, np.nan])
