"""The recorded public tables, where they are: their published figures must come out of the importers."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from forethought.outcomes import (
    compare_difficulty,
    components,
    fit_1pl,
    greedy,
    human_difficulty,
    mean_tokens,
    read_math,
    read_plain,
    split,
)
from forethought.outcomes.table import concat


@pytest.fixture(scope="module")
def data() -> Path:
    if not (place := os.environ.get("FORETHOUGHT_DATA")):
        pytest.skip("FORETHOUGHT_DATA does not point to the recorded public tables")
    return Path(place)


@pytest.mark.parametrize(
    ("source", "questions", "accuracy"),
    [
        ("bbh_direct_vs_cot", 6511, {"code-davinci-002:cot": 0.741, "code-davinci-002:direct": 0.523}),
        ("llmrouter", 6108, {}),
        ("openai_gsm8k", 1319, {"175b_verification": 0.563}),
        ("routellm", 15361, {}),
    ],
)
def test_plain_pairs(data: Path, source: str, questions: int, accuracy: dict[str, float]) -> None:
    table = read_plain(data / "outcomes" / source)
    labels = greedy(table.outcomes)

    assert len(table.questions) == len(labels.question_ids) == questions
    means = dict(zip(labels.targets, np.nanmean(labels.success, axis=0), strict=True))
    assert {name: round(means[name], 3) for name in accuracy} == accuracy


def test_mmlu_pro_leaves_unanswered_cells_missing(data: Path) -> None:
    table = read_plain(data / "outcomes" / "mmlu_pro")
    labels = greedy(table.outcomes)

    assert labels.success.shape == (12032, 29)
    assert int((~np.isnan(labels.success)).all(axis=1).sum()) == 10326
    assert table.questions[0].text.count("\n") == 10


def test_llmdrift_repeats_ids_and_records_tokens(data: Path) -> None:
    table = read_plain(data / "outcomes" / "llmdrift", repeats="samples")
    prime = [q.id for q in table.questions if q.group == "PRIME_FULL"]
    snapshots = ["openaichat/gpt-4-0314", "openaichat/gpt-4-0613"]

    assert greedy(table.outcomes, prime, snapshots).success.mean(axis=0).round(2).tolist() == [0.84, 0.5]
    assert (mean_tokens(table.outcomes, prime, snapshots)[1] > 0).all()


def test_gsm8k_of_two_sources_is_one_component(data: Path) -> None:
    tables = [read_plain(data / "outcomes" / source) for source in ("routellm", "openai_gsm8k")]
    questions = [q for table in tables for q in table.questions if q.group == "gsm8k"]
    component = components(questions)

    assert len(concat(table.outcomes for table in tables)) == 2 * 15361 + 4 * 1319
    assert len(questions) == 2 * 1319
    assert component.max() + 1 <= 1319
    sides = [set(component[part].tolist()) for part in split(questions)]
    assert all(not first & second for first, second in combinations(sides, 2))


def test_math_has_seven_targets_and_their_published_accuracies(data: Path) -> None:
    table = read_math(data / "llms_know_difficulty")
    labels = greedy(table.outcomes)

    assert labels.success.shape == (5000, 7)
    assert sorted(labels.success.mean(axis=0).round(3)) == [0.236, 0.525, 0.718, 0.723, 0.809, 0.818, 0.82]
    assert labels.success.max(axis=1).mean().round(3) == 0.918
    assert all(question.answers for question in table.questions)


def test_math_level_and_irt_difficulty_agree_only_in_part(data: Path) -> None:
    table = read_math(data / "llms_know_difficulty")
    labels = greedy(table.outcomes, [question.id for question in table.questions])
    irt = fit_1pl(labels.success, labels.trials).difficulty

    human = human_difficulty(table.questions)
    rows = compare_difficulty(human, irt, labels.success, labels.targets, draws=40)

    assert rows[0].spearman.value == pytest.approx(0.439, abs=0.005)
    assert all(0.15 < row.spearman.value < 0.4 for row in rows[1:8])
