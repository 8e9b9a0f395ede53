from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import polars as pl
import pytest

from forethought.errors import DataError

Import = Callable[[str, str], ModuleType]

SUCCESS = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [0, 0]], dtype=float)
MANY = 20
"""Copies of it: enough that no resample is without a gap."""


def table(success: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(success=success, clusters=np.arange(len(success)))


def test_best_single_is_chosen_on_the_training_rows(module: Import) -> None:
    run = module("math", "run")
    split = SimpleNamespace(train=np.array([0, 1]), test=np.array([2, 3]))
    back = SimpleNamespace(train=np.array([2, 3]), test=np.array([0, 1, 4, 5]))
    assert run.best_singles(table(SUCCESS), [split, back]).tolist() == [0, 0, 0, 0, 1, 0]


def test_gap_is_the_share_between_best_single_and_oracle(module: Import) -> None:
    run = module("math", "run")
    success = np.tile(SUCCESS, (MANY, 1))
    single = success[:, 0]
    text = np.tile([1.0, 1.0, 1.0, 0.0, 1.0, 0.0], MANY)
    routed = {
        "probe": success.max(axis=1),
        "tfidf": text,
        "length": single,
        "tfidf_stack": single,
        "neighbours": single,
    }
    figures = run.gap_figures(table(success), routed, single, 50)
    assert figures["gap_captured"].value == 1.0
    assert figures["gap_captured"].goal == "> gap_captured_text (tfidf)"
    assert figures["gap_captured"].met
    assert figures["gap_captured_text"].value == pytest.approx(0.5)
    assert figures["gap_difference"].value == pytest.approx(0.5)
    assert figures["accuracy_oracle"].value == pytest.approx(5 / 6)


def test_probe_is_to_beat_the_best_of_text_length_and_level(module: Import) -> None:
    run = module("math", "run")
    right = np.tile(np.column_stack([[1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 1, 0]]).astype(float), (MANY, 1))
    scores = {"tfidf": 1 - right, "length": np.full_like(right, 0.5), "level": right, "probe": right}
    figures = run.auroc_figures(table(right), scores, 20)
    assert figures["auroc_length"].value == 0.5
    assert figures["auroc_tfidf"].value == 0.0
    assert figures["auroc_probe"].goal == "> auroc_level"
    assert not figures["auroc_probe"].met


def test_own_scores_become_logits_in_question_order(module: Import, tmp_path: Path) -> None:
    read_own = module("math", "table").read_own
    scores = pl.DataFrame({"idx": [1, 0], "a|greedy": [0.5, 0.75], "b|one@T1.0": [0.5, 1.2], "b|maj@8": [0.1, 0.1]})
    scores.write_parquet(tmp_path / "scores.parquet")
    logits = read_own(tmp_path / "scores.parquet", ["a", "b"])
    assert logits[:, 0] == pytest.approx([np.log(3), 0.0])
    assert np.isfinite(logits).all()
    with pytest.raises(DataError, match="'c'"):
        read_own(tmp_path / "scores.parquet", ["c"])


def test_recalibration_reads_only_training_rows(module: Import) -> None:
    recalibrated = module("math", "label_efficiency").recalibrated
    rng = np.random.default_rng(0)
    own = rng.normal(size=(200, 2)) * 3
    success = (own > 0).astype(float)
    train, test = np.arange(100), np.arange(100, 200)
    splits = [SimpleNamespace(train=train, test=test), SimpleNamespace(train=test, test=train)]
    known = SimpleNamespace(own=own, success=success)
    hits = recalibrated(known, splits, 60, seed=0)
    assert hits.mean() > 0.9 * success.max(axis=1).mean()
    flipped = SimpleNamespace(own=own, success=np.where(np.arange(200)[:, None] < 100, success, 1 - success))
    # Test rows with turned labels: heads fitted on the others choose as before, and are now wrong.
    assert recalibrated(flipped, splits[:1], 60, seed=0)[test].mean() < 0.5
