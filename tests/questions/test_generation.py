from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from forethought.core import Question
from forethought.errors import ConfigError
from forethought.questions import Family, examples, families, generate, pilot_questions, read_questions
from forethought.questions.__main__ import main
from forethought.questions.family import plain
from forethought.questions.generation import SHOTS
from forethought.questions.kept import KEPT

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def every() -> dict[str, Family]:
    return families()


@pytest.fixture(scope="module")
def chosen(every: dict[str, Family]) -> list[Family]:
    return [every[name] for name in KEPT]


@pytest.fixture(scope="module")
def final() -> list[Question]:
    return read_questions(ROOT / "src/forethought/data" / "questions.jsonl")


@pytest.fixture(scope="module")
def shown() -> list[Question]:
    return read_questions(ROOT / "src/forethought/data" / "examples.jsonl")


def test_committed_files_are_what_the_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["forethought.questions", "--seed", "0", "--out", str(tmp_path)])
    main()
    for name in ("questions.jsonl", "examples.jsonl"):
        assert (tmp_path / name).read_bytes() == (ROOT / "src/forethought/data" / name).read_bytes()


def test_committed_size(final: list[Question], shown: list[Question]):
    per_family = Counter(question.group for question in final)
    assert len(final) >= 2500
    assert len(per_family) >= 20
    assert min(per_family.values()) >= 60
    assert max(per_family.values()) <= 220
    assert Counter(question.group for question in shown) == dict.fromkeys(per_family, SHOTS)


def test_every_question_is_answerable_and_tied_to_an_entity(final: list[Question], shown: list[Question]):
    for question in [*final, *shown]:
        assert question.answers
        assert question.entities
        assert all(entity and entity == entity.lower() for entity in question.entities)
        assert all(plain(answer) for answer in question.answers)
        assert question.grader == "text"


def test_no_question_gives_its_answer_away(final: list[Question]):
    leaks = [q.id for q in final for answer in q.answers if f" {plain(answer)} " in f" {plain(q.text)} "]
    assert leaks == []


def test_texts_are_unique(final: list[Question]):
    assert len({plain(question.text) for question in final}) == len(final)


def test_examples_share_no_entity_with_the_questions_of_their_family(final: list[Question], shown: list[Question]):
    asked = {(question.group, entity) for question in final for entity in question.entities}
    assert not asked & {(question.group, entity) for question in shown for entity in question.entities}


@pytest.mark.parametrize("seed", [0, 1, 1000])
def test_piloted_entities_are_never_asked_again(every: dict[str, Family], chosen: list[Family], seed: int):
    discarded = {q.entities[0] for q in pilot_questions(every.values(), per_family=1000, seed=seed)}
    drawn = [*generate(chosen, per_family=1000, seed=seed), *examples(chosen, seed=seed)]
    assert not discarded & {question.entities[0] for question in drawn}


def test_same_seed_same_questions_and_another_seed_others(chosen: list[Family]):
    again = [list(generate(chosen, per_family=20, seed=seed)) for seed in (3, 3, 4)]
    assert again[0] == again[1] != again[2]


def test_a_family_does_not_depend_on_its_neighbours(chosen: list[Family]):
    alone = generate(chosen[1:2], per_family=20, seed=0)
    assert alone == [q for q in generate(chosen[:3], per_family=20, seed=0) if q.group == chosen[1].name]


def test_fewer_questions_are_the_first_of_more(chosen: list[Family]):
    assert generate(chosen[:1], per_family=10, seed=0) == generate(chosen[:1], per_family=40, seed=0)[:10]


def test_non_positive_count_is_refused(chosen: list[Family]):
    with pytest.raises(ConfigError, match="per_family must be >= 1, got 0"):
        generate(chosen, per_family=0, seed=0)


def test_documented_pilot_table_agrees_with_the_kept_families():
    lines = (ROOT / "docs" / "design" / "questions.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("| `")]
    rows = [row for row in rows if len(row) == 4]
    assert {row[0].strip("`") for row in rows if row[3] == "yes"} == set(KEPT)
    assert all((0.2 <= float(row[2]) <= 0.8) == (row[3] == "yes") for row in rows if row[3] != "too few")
