from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forethought.core import Outcome
from forethought.errors import DataError
from forethought.outcomes import read_llmrouterbench


def save(folder: Path, model: str, scores: list[float | None], stamp: str = "20260101_120000", **header: Any) -> Path:
    records = [
        {
            "index": index,
            "origin_query": f"question {index}",
            "prompt": f"Answer: question {index}",
            "prompt_tokens": 10 + index,
            "completion_tokens": 5,
            "cost": 1e-5,
            "score": score,
            "prediction": "B",
            "ground_truth": "B",
            "raw_output": "It is B.",
            "extra_fields": {},
        }
        for index, score in enumerate(scores, start=1)
    ]
    run = {"dataset_name": "aime", "split": "test", "model_name": model, "demo": False, "records": records} | header
    path = folder / "aime" / "test" / model / f"aime-test-{model}-{stamp}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run))
    return path


def test_a_folder_of_runs_joins_on_dataset_split_and_index(tmp_path: Path) -> None:
    save(tmp_path, "small", [1.0, None])
    save(tmp_path, "large", [0.5, 0.0])

    questions, outcomes = read_llmrouterbench(tmp_path)

    assert [q.id for q in questions] == ["llmrouterbench/aime/test/1", "llmrouterbench/aime/test/2"]
    assert (questions[0].text, questions[0].answers, questions[0].group) == ("question 1", ("B",), "aime")
    assert [(row.target, row.success) for row in outcomes] == [
        ("large", 0.5),
        ("large", 0.0),
        ("small", 1.0),
        ("small", None),
    ]
    assert next(iter(outcomes)) == Outcome(
        questions[0].id,
        "large",
        success=0.5,
        answer="B",
        text="It is B.",
        input_tokens=11,
        output_tokens=5,
        cost_usd=1e-5,
    )


def test_the_latest_run_counts_and_demonstrations_do_not(tmp_path: Path) -> None:
    save(tmp_path, "small", [1.0], stamp="20260102_000000")
    save(tmp_path, "small", [0.0], stamp="20260101_000000")
    save(tmp_path, "small", [0.25], stamp="20260103_000000", demo=True)

    _, outcomes = read_llmrouterbench(tmp_path)

    assert [row.success for row in outcomes] == [1.0]


def test_one_file_reads_alone(tmp_path: Path) -> None:
    assert len(read_llmrouterbench(save(tmp_path, "small", [1.0, 0.0])).outcomes) == 2


def test_an_index_with_two_questions_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "small", [1.0])
    other = save(tmp_path, "large", [1.0])
    other.write_text(other.read_text().replace("question 1", "another question"))

    with pytest.raises(DataError, match="stands for two different questions"):
        read_llmrouterbench(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read"),
        ("[]", "is no LLMRouterBench result"),
        ('{"split": "test"}', "is no LLMRouterBench result"),
        ('{"dataset_name": "d", "split": "s", "model_name": "m", "records": [{"index": 1}]}', "lacks index or score"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.json").write_text(content)

    with pytest.raises(DataError, match=message):
        read_llmrouterbench(tmp_path / "run.json")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no LLMRouterBench result"):
        read_llmrouterbench(tmp_path)
