from __future__ import annotations

import pickle
from pathlib import Path

import polars as pl
import pytest

from forethought.core import Outcome
from forethought.errors import DataError
from forethought.outcomes import Imported, read_routerbench

WIDE = {
    "sample_id": ["mmlu.val.1", "mbpp.2"],
    "prompt": ["['Name a\\ncolour.']", "['It\\'s a list.', 'Second turn.']"],
    "eval_name": ["mmlu", "mbpp"],
    "gpt-4": [1.0, 0.25],
    "meta/llama": [0.0, None],
    "gpt-4|model_response": ["['red']", "['x']"],
    "gpt-4|total_cost": [7e-4, 8e-4],
    "oracle_model_to_route_to": ["gpt-4", "no_model_correct"],
}


def save(folder: Path, suffix: str) -> Path:
    frame, path = pl.DataFrame(WIDE), folder / f"table{suffix}"
    {".parquet": frame.write_parquet, ".csv": frame.write_csv, ".jsonl": frame.write_ndjson}[suffix](path)
    return path


def check(table: Imported) -> None:
    first, second = table.questions
    assert (first.id, first.text, first.group) == ("routerbench/mmlu.val.1", "Name a\ncolour.", "mmlu")
    assert second.text == "It's a list.\n\nSecond turn."
    assert table.outcomes.targets == ("gpt-4", "meta/llama")
    rows = list(table.outcomes)
    assert rows[0] == Outcome(first.id, "gpt-4", success=1.0, text="red", cost_usd=7e-4)
    assert rows[1].success == 0.25
    assert rows[3] == Outcome(second.id, "meta/llama", success=None)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_the_wide_table_reads_alike_from_every_format(tmp_path: Path, suffix: str) -> None:
    check(read_routerbench(save(tmp_path, suffix)))


def test_real_lists_read_like_printed_ones(tmp_path: Path) -> None:
    lists = {"prompt": [["Name a\ncolour."], ["It's a list.", "Second turn."]]}
    pl.DataFrame(WIDE | lists).write_parquet(tmp_path / "table.parquet")

    check(read_routerbench(tmp_path / "table.parquet"))


def test_a_prompt_that_only_looks_like_a_list_stays(tmp_path: Path) -> None:
    pl.DataFrame(WIDE | {"prompt": ["[sic]", "[1, 2] is [what]"]}).write_parquet(tmp_path / "table.parquet")

    assert [q.text for q in read_routerbench(tmp_path / "table.parquet").questions] == ["[sic]", "[1, 2] is [what]"]


def test_the_pickle_is_refused_unopened_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "routerbench_0shot.pkl").write_bytes(pickle.dumps(WIDE))

    with pytest.raises(DataError, match=r"pickle, which can run code.*to_parquet"):
        read_routerbench(tmp_path / "routerbench_0shot.pkl")


@pytest.mark.parametrize(("drop", "message"), [("sample_id", "lacks the columns"), ("prompt", "lacks the columns")])
def test_lacking_columns_are_named(tmp_path: Path, drop: str, message: str) -> None:
    pl.DataFrame(WIDE).drop(drop).write_csv(tmp_path / "table.csv")

    with pytest.raises(DataError, match=message):
        read_routerbench(tmp_path / "table.csv")


def test_a_table_without_models_is_refused(tmp_path: Path) -> None:
    pl.DataFrame(WIDE).select("sample_id", "prompt", "eval_name").write_csv(tmp_path / "table.csv")

    with pytest.raises(DataError, match="no column with a model's scores"):
        read_routerbench(tmp_path / "table.csv")
