from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forethought.questions import Family, Item
from forethought.questions.family import RESERVED, plain


def family(*items: Item) -> Family:
    return Family("capital", "What is the capital of {}?", lambda: items)


def test_answers_given_away_by_the_question_are_dropped():
    kept = Item("France", ("Paris",), ("france",))
    given_away = Item("Monaco", ("Monte Carlo", "Monaco"), ("monaco",))
    assert family(kept, given_away).items == (kept,)


def test_an_answer_inside_a_longer_word_is_not_given_away():
    item = Item("Algeria", ("Alger",), ("algeria",))
    assert family(item).items == (item,)


def test_items_without_answer_and_repeated_subjects_are_dropped():
    first, second = Item("France", ("Paris",), ("france",)), Item("France", ("Lyon",), ("france",))
    assert family(Item("Atlantis", (), ("atlantis",)), first, second).items == (first,)


def test_question_carries_the_item():
    question = family().question(Item("France", ("Paris",), ("france",)), 7)
    assert (question.id, question.text, question.answers) == (
        "capital-0007",
        "What is the capital of France?",
        ("Paris",),
    )
    assert (question.group, question.entities, question.grader) == ("capital", ("france",), "text")


def test_about_the_stated_share_is_reserved_by_entity_alone():
    items = [Item(f"town {n}", ("x",), (f"entity {n}", f"town {n}")) for n in range(4000)]
    share = sum(item.reserved for item in items) / len(items)
    assert abs(share - RESERVED) < 0.02
    assert all(Item("other", ("y",), item.entities[:1]).reserved == item.reserved for item in items[:50])


def test_plain_strips_case_accents_punctuation_and_articles():
    assert plain("The Côte d'Ivoire, a  country!") == "cote d ivoire country"


@given(st.text())
def test_plain_is_idempotent(text: str):
    assert plain(plain(text)) == plain(text)
