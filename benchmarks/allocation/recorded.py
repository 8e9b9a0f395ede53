"""Recorded tables of models under prices, predicted out of fold from the text alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

# The tables are those of the benchmark `routing`.
sys.path.append(str(Path(__file__).resolve().parents[1] / "routing"))
from tables import Table, math36, mmlu_pro_ladder, select

from forethought.bench import Options
from forethought.evaluation import Forecast, Serving
from forethought.outcomes import folds
from forethought.probes import StackedHead, TfidfFeatures, TokenHead, text_lengths

FOLDS = 4
"""One is served, one calibrates prices and settings, two train."""

INNER = 4
LIMIT = 4000
QUICK = 240
SEED = 0

MATH_OPTIONS: Mapping[str, tuple[str, int]] = {
    "Qwen2.5-Math-1.5B-Instruct|greedy": ("Qwen2.5-Math-1.5B-Instruct", 1),
    "Qwen2.5-Math-1.5B-Instruct|maj@8@T0.7": ("Qwen2.5-Math-1.5B-Instruct", 8),
    "Qwen2.5-Math-7B-Instruct|greedy": ("Qwen2.5-Math-7B-Instruct", 1),
    "Qwen2.5-Math-7B-Instruct|maj@8@T0.7": ("Qwen2.5-Math-7B-Instruct", 8),
    "gpt-oss-20b|one@T1.0": ("gpt-oss-20b_medium", 1),
    "gpt-oss-20b|maj@8@T1.0": ("gpt-oss-20b_medium", 8),
}
"""Recorded policy -> whose recorded mean cost an answer has, and how many answers it takes."""

SAMPLES = 5
"""That the recorded mean costs are of."""


class Fold(NamedTuple):
    """One fold to serve: its rows, and what may be known of them."""

    rows: np.ndarray
    serving: Serving


def math_votes(data: Path) -> Table:
    """MATH test: three models by one answer and by the majority of eight, each answer at its model's mean cost."""
    whole = math36(data)
    found = select(whole, "math", [whole.targets.index(name) for name in MATH_OPTIONS])
    recorded = json.loads((data / "llms_know_difficulty" / "prices.json").read_text())
    means = recorded["mean_cost_per_question_5_samples_usd"]["MATH(train)"]
    usd = np.array([means[model] / SAMPLES * votes for model, votes in MATH_OPTIONS.values()])
    return replace(found, cost=np.tile(usd, (len(found), 1)), cost_note="the model's mean on MATH train, times votes")


def mmlu_pro(data: Path) -> Table:
    """MMLU-Pro: the five models with a list price, each answer at its own length."""
    return replace(mmlu_pro_ladder(data), name="mmlu_pro")


TABLES: Mapping[str, Callable[[Path], Table]] = {
    "llms_know_difficulty": math_votes,
    "outcomes/mmlu_pro": mmlu_pro,
}
"""Folder that a table needs -> how it is read."""


def read_tables(options: Options) -> list[Table]:
    """The tables whose folder is there, drawn to the limit; the names of the others go to stderr."""
    if options.data is None:
        print("without the figures of recorded tables: give their folder by --data", file=sys.stderr)
        return []
    if absent := [folder for folder in TABLES if not (options.data / folder).is_dir()]:
        print(f"without {', '.join(absent)}: not in {options.data}", file=sys.stderr)
    limit = QUICK if options.quick else LIMIT
    return [read(options.data).drawn(limit) for folder, read in TABLES.items() if folder not in absent]


def predicted(table: Table) -> Iterator[Fold]:
    """Each fold with predictions for it and for the next, by models fitted on the other two."""
    assert table.cost is not None
    fold = folds(table.questions, FOLDS, SEED)
    for held in range(FOLDS):
        rows, calibration = (np.flatnonzero(fold == (held + i) % FOLDS) for i in (0, 1))
        train = np.flatnonzero((fold != held) & (fold != (held + 1) % FOLDS))
        success, cost = predicted_success(table, train), predicted_cost(table, train)
        serving = Serving(
            targets=table.targets,
            past=Forecast(table.success[train], table.cost[train]),
            calibration=Forecast(success[calibration], cost[calibration]),
            served=Forecast(success[rows], cost[rows]),
            paid=table.cost[rows],
            prefill=np.zeros(len(rows)),
        )
        yield Fold(rows, serving)


def predicted_success(table: Table, train: np.ndarray) -> np.ndarray:
    """P(success) of all rows by the router's default head over TF-IDF, fitted on some, (n, K)."""
    texts = [table.texts[row] for row in train]
    X = TfidfFeatures().fit(texts).transform(table.texts)
    inner = folds([table.questions[row] for row in train], INNER, SEED)
    return StackedHead().fit([X[train]], table.success[train], inner).predict_proba([X])


def predicted_cost(table: Table, train: np.ndarray) -> np.ndarray:
    """Expected USD of all rows from the text's length, fitted on some, (n, K)."""
    assert table.cost is not None
    X = text_lengths(table.texts)
    # The head's log(1 + tokens) is made for counts: a mean answer counts as a thousand.
    unit = table.cost[train].mean() / 1000
    return TokenHead().fit(X[train], table.cost[train] / unit).predict(X) * unit
