"""The public outcome tables: who answered what right, at what cost, as far as the sources say.

A question's id is the hash of its text, so that a text that occurs in several sources is one question: it is read once
and stands in the same fold everywhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forethought.core import Question, content_hash
from forethought.errors import ConfigError, DataError
from forethought.outcomes import greedy, read_math, read_plain
from forethought.outcomes.importers.base import Imported, read_rows

Array = NDArray[np.float64]

CHARACTERS_PER_TOKEN = 4.0
"""The sources count characters; hidden reasoning tokens are in none of them."""

ROUTELLM_PRICES: Mapping[str, Mapping[str, float]] = {
    "gpt-4-1106-preview": {"in_chars": 10.0, "out_chars": 30.0},
    "mistralai/Mixtral-8x7B-Instruct-v0.1": {"in_chars": 0.24, "out_chars": 0.24},
}
"""USD per million tokens, from RouteLLM's README."""

DAVINCI_PRICE = 20.0
"""USD per million tokens, prompt or answer alike, of the model that BBH-effort asks twice."""


@dataclass(frozen=True)
class Table:
    """One pool of targets on one set of questions.

    Attributes:
        name: As reports print it.
        questions: n questions; `group` is the source's own task, subject or category.
        targets: K names.
        success: (n, K), 0 or 1, no cell missing.
        cost: USD of each answer, (n, K), or None where the source has no cost.
        cost_note: Where the cost comes from, or 'no cost recorded'.
    """

    name: str
    questions: Sequence[Question]
    targets: tuple[str, ...]
    success: Array
    cost: Array | None = None
    cost_note: str = "no cost recorded"

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def source(self) -> str:
        """The name without its number of targets: pools of one source share their questions and groups."""
        return self.name.rpartition("-")[0]

    @property
    def headroom(self) -> float:
        """Oracle minus the best single target on these questions."""
        return float(self.success.max(axis=1).mean() - self.success.mean(axis=0).max())

    @cached_property
    def ids(self) -> list[str]:
        return [question.id for question in self.questions]

    @cached_property
    def texts(self) -> list[str]:
        return [question.text for question in self.questions]

    @cached_property
    def groups(self) -> list[str]:
        return [question.group for question in self.questions]

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> Table:
        """The same pool on some of the questions, in that order."""
        return replace(
            self,
            questions=[self.questions[row] for row in rows],
            success=self.success[rows],
            cost=None if self.cost is None else self.cost[rows],
        )

    def draw(self) -> list[int]:
        """Rows in the order in which they are drawn, by the hash of their ids: a small draw is part of a larger one."""
        return sorted(range(len(self)), key=lambda row: content_hash(f"draw:{self.ids[row]}"))

    def drawn(self, limit: int) -> Table:
        """At most `limit` questions, in the table's order."""
        return self.take(np.sort(np.array(self.draw()[:limit], dtype=np.intp)))


def math7(data: Path) -> Table:
    """MATH test, seven models with one answer each (arXiv 2602.09924's public repository)."""
    return from_imported("MATH-7", read_math(data / "llms_know_difficulty"))


def gsm8k2(data: Path) -> Table:
    """GSM8K, train and test rows, Qwen2.5-Math 1.5B and 7B (the same repository)."""
    frames = [read_rows(data / "llms_know_difficulty" / f"gsm8k_{part}.parquet") for part in ("train", "test")]
    columns = ["y::Qwen2.5-Math-1.5B-Instruct|greedy", "y::Qwen2.5-Math-7B-Instruct|greedy"]
    frame = pl.concat([frame.select("problem", *columns) for frame in frames])
    questions = [Question.ask(text, group="gsm8k") for text in frame["problem"]]
    targets = tuple(name.removeprefix("y::").partition("|")[0] for name in columns)
    return distinct(Table("GSM8K-2", questions, targets, frame.select(columns).to_numpy().astype(float)))


def routellm_gsm8k(data: Path) -> Table:
    """RouteLLM's GSM8K answers of Mixtral-8x7B and GPT-4."""
    whole = _routellm(data, "RouteLLM-GSM8K", "gsm8k")
    cost = _routellm_cost(data, whole, ("in_chars", "out_chars"))
    return replace(whole, cost=cost, cost_note="RouteLLM's prices, four characters a token")


def routellm_mmlu(data: Path) -> Table:
    """RouteLLM's MMLU answers of the same pair; groups are MMLU's 57 subjects."""
    whole = _routellm(data, "RouteLLM-MMLU", "mmlu")
    cost = _routellm_cost(data, whole, ("in_chars",))
    note = "RouteLLM's prices of the prompt, four characters a token; answers are one letter and were not counted"
    return replace(whole, cost=cost, cost_note=note)


def mmlu_pro_ladder(data: Path) -> Table:
    """MMLU-Pro, the five models with a list price, on the rows that all 29 models have."""
    folder = data / "outcomes" / "mmlu_pro"
    prices = json.loads((data / "outcomes" / "prices" / "model_prices_2024-12.json").read_text())
    whole = mmlu_pro(data)
    columns = [column for column, target in enumerate(whole.targets) if target in prices]
    targets = tuple(whole.targets[column] for column in columns)
    tokens_in = np.array([len(text) for text in whole.texts]) / CHARACTERS_PER_TOKEN
    tokens_out = _column(folder, "out_chars", whole)[:, columns] / CHARACTERS_PER_TOKEN
    rates = np.array([[prices[target][side] for target in targets] for side in ("input_per_m", "output_per_m")])
    return replace(
        whole,
        name="MMLU-Pro-5",
        targets=targets,
        success=whole.success[:, columns],
        cost=(rates[0] * tokens_in[:, None] + rates[1] * tokens_out) / 1e6,
        cost_note="December 2024 list prices, four characters a token; the five solved examples before each question "
        "are not counted",
    )


def mmlu_pro(data: Path) -> Table:
    """MMLU-Pro, 29 models, the rows that all have."""
    return from_imported("MMLU-Pro-29", read_plain(data / "outcomes" / "mmlu_pro"))


def llmrouter(data: Path) -> Table:
    """LLMRouter's nine open models on 13 tasks; CommonGen's graded scores are no labels and are left out."""
    folder = data / "outcomes" / "llmrouter"
    whole = from_imported("LLMRouter-9", read_plain(folder))
    prices = json.loads((folder / "default_llm.json").read_text())
    tokens_in = np.array([len(text) for text in whole.texts]) / CHARACTERS_PER_TOKEN
    rates = np.array([prices[target]["input_price"] for target in whole.targets])
    return replace(
        whole,
        cost=rates * tokens_in[:, None] / 1e6,
        cost_note="list prices of the prompt alone, four characters a token; answer lengths were not recorded",
    )


def llmrouter_without_chatqa(data: Path) -> Table:
    """The same without the two ChatQA models, whose near-zero scores on multiple choice are format failures."""
    whole = llmrouter(data)
    columns = [column for column, target in enumerate(whole.targets) if "chatqa" not in target]
    return select(whole, "LLMRouter-7", columns)


def bbh_effort(data: Path) -> Table:
    """BIG-bench Hard, one model, answering directly or after a chain of thought."""
    folder = data / "outcomes" / "bbh_direct_vs_cot"
    whole = from_imported("BBH-effort", read_plain(folder))
    tokens = (_column(folder, "in_chars", whole) + _column(folder, "out_chars", whole)) / CHARACTERS_PER_TOKEN
    note = "davinci's list price of 2022, solved examples in the prompt included, four characters a token"
    return replace(whole, cost=DAVINCI_PRICE * tokens / 1e6, cost_note=note)


def math36(data: Path) -> Table:
    """MATH test, all 36 recorded policies: one answer, a majority's, or the success rate over repeated samples."""
    imported = read_math(data / "llms_know_difficulty")
    frame = read_rows(data / "llms_know_difficulty" / "math_test_outcomes.parquet")
    policies = [name for name in frame.columns if "|" in name]
    questions = [replace(question, id=question_id(question.text)) for question in imported.questions]
    return distinct(Table("MATH-36", questions, tuple(policies), frame.select(policies).to_numpy().astype(float)))


def openai_gsm8k(data: Path) -> Table:
    """OpenAI's 2021 GSM8K answers: two sizes, one sample or the verifier's best of a hundred."""
    return from_imported("OpenAI-GSM8K", read_plain(data / "outcomes" / "openai_gsm8k"))


@dataclass(frozen=True)
class Reader:
    """How a table is read.

    Attributes:
        read: From the data folder.
        source: The folder inside it that the table needs.
    """

    read: Callable[[Path], Table]
    source: str


TABLES: Mapping[str, Reader] = {
    "MATH-7": Reader(math7, "llms_know_difficulty"),
    "GSM8K-2": Reader(gsm8k2, "llms_know_difficulty"),
    "RouteLLM-GSM8K": Reader(routellm_gsm8k, "outcomes/routellm"),
    "RouteLLM-MMLU": Reader(routellm_mmlu, "outcomes/routellm"),
    "MMLU-Pro-5": Reader(mmlu_pro_ladder, "outcomes/mmlu_pro"),
    "MMLU-Pro-29": Reader(mmlu_pro, "outcomes/mmlu_pro"),
    "LLMRouter-9": Reader(llmrouter, "outcomes/llmrouter"),
    "BBH-effort": Reader(bbh_effort, "outcomes/bbh_direct_vs_cot"),
}
"""The eight tables that figures are pooled over."""

BESIDE: Mapping[str, Reader] = {
    "MATH-36": Reader(math36, "llms_know_difficulty"),
    "OpenAI-GSM8K": Reader(openai_gsm8k, "outcomes/openai_gsm8k"),
    "LLMRouter-7": Reader(llmrouter_without_chatqa, "outcomes/llmrouter"),
}
"""Reported beside, pooled with nothing."""


def read_tables(readers: Mapping[str, Reader], data: Path) -> list[Table]:
    """The tables whose source is there; the names of the others go to stderr.

    Raises:
        ConfigError: None is there.
    """
    present = {name: reader for name, reader in readers.items() if (data / reader.source).is_dir()}
    if not present:
        sources = sorted({reader.source for reader in readers.values()})
        raise ConfigError(f"{data} holds no table of this benchmark; it reads {', '.join(sources)}")
    if absent := [name for name in readers if name not in present]:
        print(f"without {', '.join(absent)}: their folders are not in {data}", file=sys.stderr)
    return [reader.read(data) for reader in present.values()]


def question_id(text: str) -> str:
    """One id a text, whatever the source."""
    return Question.ask(text).id


def from_imported(name: str, imported: Imported) -> Table:
    """A table of the questions that every target answered and that were scored right or wrong.

    Raises:
        DataError: No such question.
    """
    targets = imported.outcomes.targets
    success = greedy(imported.outcomes, [question.id for question in imported.questions], targets).success
    rows = np.flatnonzero(np.isin(success, (0.0, 1.0)).all(axis=1))
    if not rows.size:
        raise DataError(f"{name}: no question was scored 0 or 1 for all of {list(targets)}")
    questions = [replace(imported.questions[row], id=question_id(imported.questions[row].text)) for row in rows]
    return distinct(Table(name, questions, tuple(targets), success[rows]))


def distinct(table: Table) -> Table:
    """The first row of each text: a source that asks the same twice counts it once."""
    _, first = np.unique(table.ids, return_index=True)
    return table.take(np.sort(first))


def select(table: Table, name: str, columns: Sequence[int]) -> Table:
    """The same questions with some of the targets."""
    return replace(
        table,
        name=name,
        targets=tuple(table.targets[column] for column in columns),
        success=table.success[:, columns],
        cost=None if table.cost is None else table.cost[:, columns],
    )


def _routellm(data: Path, name: str, dataset: str) -> Table:
    folder = data / "outcomes" / "routellm"
    queries = read_rows(folder / "queries.jsonl.gz")
    subject = dict(queries.select("query_id", "subject").iter_rows()) if "subject" in queries.columns else {}
    imported = read_plain(folder)
    kept = [
        replace(question, group=subject.get(question.id.partition("/")[2]) or dataset)
        for question in imported.questions
        if question.group == dataset
    ]
    return from_imported(name, Imported(kept, imported.outcomes))


def _routellm_cost(data: Path, table: Table, sides: Sequence[str]) -> Array:
    """USD at RouteLLM's own prices of the sides whose characters were counted, (n, K)."""
    folder = data / "outcomes" / "routellm"
    tokens = {side: _column(folder, side, table) / CHARACTERS_PER_TOKEN for side in sides}
    rates = {side: np.array([ROUTELLM_PRICES[target][side] for target in table.targets]) for side in sides}
    return np.asarray(sum(rates[side] * tokens[side] for side in sides) / 1e6)


def _column(folder: Path, column: str, table: Table) -> Array:
    """A column of a plain pair, laid out as the table's questions x targets; an empty cell takes its target's mean.

    Raises:
        DataError: A target without any value.
    """
    texts = {question.id.partition("/")[2]: question_id(question.text) for question in read_plain(folder).questions}
    found: dict[tuple[str, str], float] = {}
    for query, model, value in read_rows(folder / "outcomes.csv.gz").select("query_id", "model", column).iter_rows():
        if query in texts and value is not None:
            found.setdefault((texts[query], model), float(value))
    cells = np.array([[found.get((id, target), np.nan) for target in table.targets] for id in table.ids])
    if (empty := np.isnan(cells).all(axis=0)).any():
        raise DataError(f"{folder}: column {column!r} has no value for {np.array(table.targets)[empty].tolist()}")
    return np.where(np.isnan(cells), np.nanmean(cells, axis=0), cells)
