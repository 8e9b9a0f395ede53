from __future__ import annotations

import random
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from forethought.core import Question
from forethought.errors import ConfigError, DataError
from forethought.outcomes.splits import components, folds, hold_out_groups, normalised_text, split


def tied_questions(count: int, seed: int) -> list[Question]:
    """Questions of which some share a text, some an entity and some nothing."""
    rng = random.Random(seed)
    return [
        Question.ask(
            f"text {rng.randrange(2 * count)}",
            id=f"id{index}",
            group=rng.choice("abcd"),
            entities=tuple(f"e{rng.randrange(count)}" for _ in range(rng.randrange(2))),
        )
        for index in range(count)
    ]


def question_lists() -> st.SearchStrategy[list[Question]]:
    return st.builds(tied_questions, st.integers(20, 60), st.integers(0, 10**6))


def singles(count: int, groups: int = 3) -> list[Question]:
    return [Question.ask(f"question {index}", id=f"id{index}", group=f"g{index % groups}") for index in range(count)]


def ties(question: Question) -> set[str]:
    return {question.text, *(f"entity {name}" for name in question.entities)}


def parts_by_id(questions: list[Question], deal: Callable[[list[Question]], np.ndarray]) -> dict[str, int]:
    return dict(zip([question.id for question in questions], deal(questions).tolist(), strict=True))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What is the capital of France?", "what is  the capital of france"),
        ("ＣＡＰＩＴＡＬ", "capital"),
        ("STRASSE", "straße"),
        ("don’t", "don't"),
        ("2+3", "2 + 3"),
        ("café", "cafe\u0301"),
    ],
)
def test_normalised_text_forgets_form(first: str, second: str) -> None:
    assert normalised_text(first) == normalised_text(second)


@pytest.mark.parametrize(
    ("first", "second"), [("capital of France", "capital of Spain"), ("2 + 3", "2 = 3"), ("?!", "...")]
)
def test_normalised_text_keeps_content(first: str, second: str) -> None:
    assert normalised_text(first) != normalised_text(second)


@given(st.text())
def test_normalised_text_is_idempotent(text: str) -> None:
    once = normalised_text(text)

    assert normalised_text(once) == once


def test_components_chain_through_text_and_entities_across_sources() -> None:
    questions = [
        Question.ask("Capital of France?", id="s1/0", entities=("France",)),
        Question.ask("Currency of France?", id="s1/1", entities=("France", "Euro")),
        Question.ask("Who uses the euro?", id="s2/0", entities=("euro",)),
        Question.ask("capital of france", id="s3/0"),
        Question.ask("Capital of Peru?", id="s1/2", entities=("Peru",)),
        Question.ask("Peru", id="s1/3"),
    ]

    np.testing.assert_array_equal(components(questions), [0, 0, 0, 0, 1, 2])


def test_components_of_nothing() -> None:
    assert components([]).shape == (0,)


@given(question_lists())
@settings(max_examples=40)
def test_components_match_a_naive_closure(questions: list[Question]) -> None:
    reached = np.array([[bool(ties(first) & ties(second)) for second in questions] for first in questions])
    for _ in range(6):  # paths of up to 2**6 steps
        reached = reached @ reached
    found = components(questions)

    np.testing.assert_array_equal(np.equal.outer(found, found), reached)


@given(question_lists(), st.integers(0, 5))
@settings(max_examples=60)
def test_no_tie_crosses_a_split(questions: list[Question], seed: int) -> None:
    parts = split(questions, seed=seed)

    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(questions)))
    sides = [set().union(*(ties(questions[row]) for row in part)) for part in parts]
    assert all(not first & second for first, second in combinations(sides, 2))


@given(question_lists(), st.integers(0, 100))
@settings(max_examples=60)
def test_folds_depend_on_the_set_not_the_order(questions: list[Question], seed: int) -> None:
    shuffled = random.Random(seed).sample(questions, len(questions))

    assert parts_by_id(questions, lambda qs: folds(qs, 2, 7)) == parts_by_id(shuffled, lambda qs: folds(qs, 2, 7))


@given(st.integers(30, 400), st.integers(1, 6), st.integers(0, 3))
@settings(max_examples=30)
def test_shares_hold_within_a_few_questions_in_all_and_in_every_group(count: int, groups: int, seed: int) -> None:
    questions = singles(count, groups)
    shares = (0.5, 0.2, 0.3)

    for part, share in zip(split(questions, shares, seed), shares, strict=True):
        assert abs(len(part) - share * count) <= 3
        for group in range(groups):
            size = sum(question.group == f"g{group}" for question in questions)
            inside = sum(questions[row].group == f"g{group}" for row in part)
            assert abs(inside - share * size) <= 3


def test_shares_miss_by_no_more_than_the_largest_component() -> None:
    questions = [Question.ask(f"q {index}", id=f"id{index}", entities=(f"e{int(index**0.5)}",)) for index in range(400)]
    largest = np.bincount(components(questions)).max()

    for part, share in zip(split(questions), (0.5, 0.2, 0.3), strict=True):
        assert abs(len(part) - share * 400) <= largest


def test_folds_are_even_and_another_seed_deals_anew() -> None:
    questions = singles(100)

    np.testing.assert_array_equal(np.bincount(folds(questions, 5)), [20] * 5)
    assert (folds(questions, 5, seed=0) == folds(questions, 5, seed=0)).all()
    assert (folds(questions, 5, seed=0) != folds(questions, 5, seed=1)).any()


def test_many_groups_of_one_question_still_meet_the_shares() -> None:
    parts = split(singles(200, groups=200))

    assert [len(part) for part in parts] == pytest.approx([100, 40, 60], abs=3)


@given(question_lists(), st.integers(1, 2), st.integers(0, 5))
@settings(max_examples=60)
def test_held_out_groups_share_neither_group_nor_tie(questions: list[Question], count: int, seed: int) -> None:
    try:
        train, test = hold_out_groups(questions, count, seed)
    except (ConfigError, DataError):
        reject()  # too few groups or components in this example

    assert not {questions[row].group for row in train} & {questions[row].group for row in test}
    assert not set().union(*(ties(questions[row]) for row in train)) & set().union(
        *(ties(questions[row]) for row in test)
    )


def test_a_spanning_component_serves_one_side() -> None:
    questions = [
        Question.ask(f"{family} of {country}", group=family, entities=(country,))
        for country in (f"country{index}" for index in range(40))
        for family in ("capital", "currency")
    ]

    train, test = hold_out_groups(questions, 1)

    assert len(train) == len(test) == 20
    assert len({questions[row].group for row in test}) == 1


def test_a_side_without_questions_is_an_error() -> None:
    questions = [Question.ask("the same", id=group, group=group) for group in ("capital", "currency")]

    with pytest.raises(DataError, match="leaves 0 rows to train and 1 to test"):
        hold_out_groups(questions, 1)


def test_groups_without_ties_are_held_out_whole() -> None:
    train, test = hold_out_groups(singles(90), 1 / 3)

    assert (len(train), len(test)) == (60, 30)


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.5, -0.5), (1.0, 0.0)])
def test_shares_must_be_positive_and_sum_to_one(shares: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="shares must be positive and sum to 1"):
        split(singles(10), shares)


@pytest.mark.parametrize("size", [0, 3, 0.0, 1.0, -0.5])
def test_both_sides_need_a_group(size: float) -> None:
    with pytest.raises(ConfigError, match="test_size"):
        hold_out_groups(singles(9), size)


def test_too_few_components_are_named() -> None:
    twins = [Question.ask("the same", id=f"id{index}") for index in range(10)]

    with pytest.raises(DataError, match="1 components of questions leave 2 of 3 parts empty"):
        split(twins)
    with pytest.raises(ConfigError, match="k must be >= 2"):
        folds(twins, 1)


def test_duplicate_ids_are_refused() -> None:
    with pytest.raises(DataError, match="two questions have the id 'id'"):
        components([Question.ask("a", id="id"), Question.ask("b", id="id")])
