from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from forethought.core import Outcome
from forethought.errors import DataError
from forethought.outcomes import read_embedllm

ROWS = {
    "prompt_id": [7, 7, 8],
    "model_id": [0, 1, 0],
    "category_id": [2, 2, 2],
    "label": [1, 0, 1],
    "model_name": ["a", "b", "a"],
    "category": ["mmlu", "mmlu", "mmlu"],
    "prompt": ["First?", "First?", "Second?"],
}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_join_on_prompt_ids(tmp_path: Path, suffix: str) -> None:
    frame, path = pl.DataFrame(ROWS), tmp_path / f"train{suffix}"
    {".csv": frame.write_csv, ".parquet": frame.write_parquet}[suffix](path)

    questions, outcomes = read_embedllm(path)

    assert [(q.id, q.text, q.group) for q in questions] == [
        ("embedllm/7", "First?", "mmlu"),
        ("embedllm/8", "Second?", "mmlu"),
    ]
    assert list(outcomes) == [
        Outcome("embedllm/7", "a", success=1.0),
        Outcome("embedllm/7", "b", success=0.0),
        Outcome("embedllm/8", "a", success=1.0),
    ]


def test_model_ids_stand_in_for_absent_names(tmp_path: Path) -> None:
    pl.DataFrame(ROWS).drop("model_name", "category").write_csv(tmp_path / "train.csv")

    table = read_embedllm(tmp_path / "train.csv")

    assert table.outcomes.targets == ("0", "1")
    assert table.questions[0].group == ""


def test_an_id_with_two_texts_is_refused(tmp_path: Path) -> None:
    pl.DataFrame(ROWS | {"prompt": ["First?", "Other?", "Second?"]}).write_csv(tmp_path / "train.csv")

    with pytest.raises(DataError, match="'embedllm/7' stands for two different questions"):
        read_embedllm(tmp_path / "train.csv")


def test_lacking_columns_are_named(tmp_path: Path) -> None:
    pl.DataFrame(ROWS).drop("label").write_csv(tmp_path / "train.csv")

    with pytest.raises(DataError, match=r"lacks the columns \['label'\]"):
        read_embedllm(tmp_path / "train.csv")
