"""RouteLLM: CSV files with a prompt and, for each model, whether it was right; GSM8K also with the answers."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from converters.files import Files, inside, pair
from forethought.outcomes import read_routellm
from forethought.outcomes.importers.base import Imported

GSM8K = "routellm/evals/gsm8k/gsm8k_responses.csv"
MMLU = "routellm/evals/mmlu/responses"


def convert(clone: Path) -> Files:
    """Both benchmarks in one pair; MMLU's questions say their subject, which their file is named after."""
    outcomes, queries = [], []
    for dataset, path in (("gsm8k", GSM8K), ("mmlu", MMLU)):
        imported = read_routellm(inside(clone, path))
        outcomes += outcome_rows(imported, dataset)
        for question in imported.questions:
            subject = {"subject": question.group.removeprefix("mmlu_")} if dataset == "mmlu" else {}
            queries.append({"query_id": short(question.id), "dataset": dataset, **subject, "text": question.text})
    return pair(outcomes, queries)


def outcome_rows(imported: Imported, dataset: str) -> list[dict[str, object]]:
    characters = {question.id: len(question.text) for question in imported.questions}
    columns = ("question_id", "target", "success", pl.col("text").str.len_chars())
    return [
        {
            "query_id": short(identity),
            "dataset": dataset,
            "model": model,
            "correct": success,
            "in_chars": characters[identity],
            "out_chars": out,
        }
        for identity, model, success, out in imported.outcomes.frame.select(columns).iter_rows()
    ]


def short(identity: str) -> str:
    """`gsm8k-0` from `routellm/gsm8k/0`, `mmlu-anatomy-0` from `routellm/mmlu_anatomy/0`."""
    return identity.removeprefix("routellm/").replace("mmlu_", "mmlu-", 1).replace("/", "-")
