from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from forethought.core import Question
from forethought.errors import DataError
from forethought.training.features import PrefillFeatures


class Counting:
    """Counts the questions that an encoder reads."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self.read: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def encode(self, questions: Any, **keywords: Any) -> Any:
        self.read += [question.id for question in questions]
        return self.encoder.encode(questions, **keywords)


@pytest.fixture
def encoder(make_encoder: Any) -> Counting:
    return Counting(make_encoder())


@pytest.fixture
def questions() -> list[Question]:
    return [Question.ask(f"question {i}") for i in range(40)]


def test_features_are_standardised_and_of_mean_square_norm_one(encoder: Counting, questions: list[Question]) -> None:
    features = PrefillFeatures(encoder, questions)  # type: ignore[arg-type]
    table = features(questions)
    assert table.shape == (40, 12) == (40, features.width)
    assert np.allclose(table.mean(axis=0), 0, atol=1e-9)
    assert np.allclose(table.std(axis=0), 1 / np.sqrt(12))
    assert np.square(table).sum(axis=1).mean() == pytest.approx(1)


def test_other_questions_are_scaled_alike_and_read_once(encoder: Counting, questions: list[Question]) -> None:
    features = PrefillFeatures(encoder, questions[:30], layer=3)  # type: ignore[arg-type]
    read = encoder.encoder.encode(questions, layers=(3,), readouts=("last",))[:, 0, 0].astype(np.float64)
    mean, deviation = read[:30].mean(axis=0), read[:30].std(axis=0)
    wanted = (read - mean) / deviation / np.sqrt(12)
    mixed = [questions[35], questions[2], questions[31], questions[35]]
    assert np.allclose(features(mixed), wanted[[35, 2, 31, 35]])
    assert np.allclose(features(questions[::-1]), wanted[::-1])
    assert sorted(set(encoder.read)) == sorted(question.id for question in questions)
    before = len(encoder.read)
    features(questions)
    assert len(encoder.read) == before


def test_layer_and_readout(encoder: Counting, questions: list[Question]) -> None:
    assert PrefillFeatures(encoder, questions).layer == 2  # type: ignore[arg-type]  # of three
    tables = [
        PrefillFeatures(encoder, questions, layer=layer, readout=readout)(questions)  # type: ignore[arg-type]
        for layer, readout in ((2, "last"), (1, "last"), (2, "mean"))
    ]
    assert not np.allclose(tables[0], tables[1])
    assert not np.allclose(tables[0], tables[2])
    assert np.array_equal(tables[0], PrefillFeatures(encoder, questions)(questions))  # type: ignore[arg-type]


def test_a_constant_feature_is_zero(encoder: Counting) -> None:
    features = PrefillFeatures(encoder, [Question.ask("alone")])  # type: ignore[arg-type]
    assert features([Question.ask("alone")]).tolist() == [[0.0] * 12]


def test_no_question_is_refused(encoder: Counting) -> None:
    with pytest.raises(DataError, match="features are scaled on training questions: there is none"):
        PrefillFeatures(encoder, [])  # type: ignore[arg-type]
