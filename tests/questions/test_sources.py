"""Facts spot-checked by hand, one or more per source."""

from __future__ import annotations

import pytest

from forethought.questions import Family, families


@pytest.fixture(scope="module")
def every() -> dict[str, Family]:
    return families()


@pytest.mark.parametrize(
    ("family", "subject", "accepted"),
    [
        ("capital", "the United States", {"Washington", "Washington, D.C."}),
        ("capital", "Ukraine", {"Kyiv", "Kiev"}),
        ("capital_country", "Prague", {"Czechia", "Czech Republic"}),
        ("continent", "New Zealand", {"Oceania"}),
        ("currency", "China", {"yuan", "renminbi"}),
        ("currency", "Sweden", {"krona", "kronor"}),
        ("language", "Iran", {"Persian", "Farsi"}),
        ("neighbour", "Portugal", {"Spain"}),
        ("iso_country", "DEU", {"Germany"}),
        ("country_from_german", "Österreich", {"Austria"}),
        ("city_country", "Lahore", {"Pakistan"}),
        ("plural", "ox", {"oxen"}),
        ("plural", "person", {"people", "persons"}),
        ("past_tense", "travel", {"traveled", "travelled"}),
        ("past_participle", "write", {"written"}),
        ("comparative", "friendly", {"friendlier", "more friendly"}),
        ("superlative", "bad", {"worst"}),
        ("singular", "mice", {"mouse"}),
        ("opposite", "begin", {"end", "finish"}),
        ("from_roman", "XLII", {"42", "forty-two"}),
        ("number_words", "101", {"one hundred and one", "one hundred one"}),
        ("element", "Al", {"aluminium", "aluminum"}),
        ("language_of_code", "ps", {"Pashto", "Pushto"}),
    ],
)
def test_accepted_answers(every: dict[str, Family], family: str, subject: str, accepted: set[str]):
    answers = {item.subject: set(item.answers) for item in every[family].items}
    assert accepted <= answers.get(subject, set())


def test_verbs_that_do_not_change_are_not_asked(every: dict[str, Family]):
    assert not {"put", "cut", "set"} & {item.subject for item in every["past_tense"].items}


def test_one_country_has_one_entity_in_every_family(every: dict[str, Family]):
    asked = [item for name in ("capital", "capital_country", "city_country") for item in every[name].items]
    assert {"france"} == {item.entities[0] for item in asked if item.subject in {"France", "Paris", "Marseille"}}


def test_no_country_name_is_part_of_anothers(every: dict[str, Family]):
    names = {answer for item in every["iso_country"].items for answer in item.answers[:1]}
    assert not [(a, b) for a in names for b in names if a != b and f" {a} " in f" {b} "]
