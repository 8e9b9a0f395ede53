"""Samples across questions under a mean budget, where one right answer is enough: from recorded success rates."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from recorded import FOLDS, SEED, Array, Ints, cross_fitted_bins, draws, figures_of, read_recorded

from forethought.allocation import allocate_samples, pass_gains
from forethought.bench import Figure, Options
from forethought.errors import DataError
from forethought.metrics import paired_bootstrap
from forethought.probes import PlattCalibrator

MATH = {
    "qwen2_1.5b": "Qwen2-1.5B-Instruct|sr50@T1.0",
    "math_1.5b": "Qwen2.5-Math-1.5B-Instruct|sr50@T0.7",
    "math_7b": "Qwen2.5-Math-7B-Instruct|sr50@T0.7",
}
"""A weak, a middling and a strong model, fixed beforehand."""

DRAWN = 50
BUDGETS = (2, 4, 8)
BINS = 20
GAME = "outcomes/tot_game24"
GAME_STRATEGIES = {"direct": "io_x100", "cot": "cot_x100"}
GAME_BUDGETS = (4, 16)
GAME_BINS = 4
GAME_FIRST = 900
"""Row of `24.csv` of the first puzzle that was asked."""


def repeated_samples(options: Options) -> dict[str, Figure]:
    """pass@k, and pass at a mean budget when samples follow what is predicted, on MATH and on the Game of 24.

    A verifier that knows a right answer is taken for granted, as in any pass@k.
    """
    return {**math_samples(options), **game_samples(options)}


def math_samples(options: Options) -> dict[str, Figure]:
    """Predicted by each model's own recorded probe of its success rate, recalibrated across folds."""
    table = read_recorded(options)
    figures: dict[str, Figure] = {}
    for name, column in MATH.items():
        right = np.rint(table.outcome(column) * DRAWN).astype(np.int64)
        logits = np.log(table.score(column) / (1 - table.score(column)))
        for budget in BUDGETS:
            counts = allocations(right, DRAWN, logits, table.fold, budget, BINS)
            figures |= spent_figures(f"pass_{name}_b{budget}", right, DRAWN, counts, table.clusters, options)
    return figures


def game_samples(options: Options) -> dict[str, Figure]:
    """Predicted by the share of people who solved the puzzle: all that was known of it before."""
    folder = options.recorded(GAME)
    people = _solved_by_people(folder / "24.csv")
    fold = np.random.default_rng(SEED).permutation(len(people)) % FOLDS
    figures: dict[str, Figure] = {}
    for name, strategy in GAME_STRATEGIES.items():
        right, drawn = _right(folder / "samples.jsonl.gz", strategy)
        for budget in GAME_BUDGETS:
            counts = allocations(right, drawn, people, fold, budget, GAME_BINS)
            figures |= spent_figures(
                f"pass_game24_{name}_b{budget}", right, drawn, counts, np.arange(len(right)), options
            )
    return figures


def allocations(right: Ints, drawn: int, feature: Array, fold: Ints, budget: int, bins: int) -> dict[str, Ints]:
    """Samples of each question, (n,), by how they are given; each fold is a batch of its own.

    `success` puts a calibrated P(success) into the formula of pass@k; `gains` takes the mean gains of the other folds'
    questions in the same bin, which knows that P(success) is not known; `hindsight` reads the outcomes themselves.
    """
    rate, curve = right / drawn, pass_curve(right, drawn)
    true_gains = np.diff(curve, axis=1)
    by_gains = cross_fitted_bins(feature, true_gains, fold, bins)
    counts = {name: np.zeros(len(right), dtype=np.int64) for name in ("success", "gains", "hindsight")}
    for held in np.unique(fold):
        train, test = fold != held, fold == held
        calibrator = PlattCalibrator().fit(feature[train, np.newaxis], rate[train, np.newaxis])
        success = calibrator.transform(feature[test, np.newaxis])[:, 0]
        counts["success"][test] = allocate_samples(pass_gains(success, drawn), budget)
        counts["gains"][test] = allocate_samples(by_gains[test], budget)
        counts["hindsight"][test] = allocate_samples(true_gains[test], budget)
    return {"uniform": np.full(len(right), budget), **counts}


def pass_curve(right: Ints, drawn: int) -> Array:
    """Unbiased pass@b of b = 0..drawn: 1 - C(drawn - right, b) / C(drawn, b), (n, drawn + 1) (2107.03374, eq. 1)."""
    b = np.arange(drawn)
    still_wrong = np.cumprod(np.maximum(drawn - right[:, np.newaxis] - b, 0) / (drawn - b), axis=1)
    return np.column_stack([np.zeros(len(right)), 1 - still_wrong])


def spent_figures(
    name: str, right: Ints, drawn: int, counts: Mapping[str, Ints], clusters: Ints, options: Options
) -> dict[str, Figure]:
    """Pass at each allocation, each minus uniform, and what `gains` comes to in samples."""
    curve, rows = pass_curve(right, drawn), np.arange(len(right))
    values = {f"{name}_{by}": curve[rows, count] for by, count in counts.items()}
    pairs = {f"{name}_{by}_over_uniform": (f"{name}_{by}", f"{name}_uniform") for by in counts if by != "uniform"}
    figures = figures_of(values, clusters, options, pairs)
    key = f"{name}_gains_over_uniform"
    figures[key] = figures[key].surely_above(0)
    figures[f"{name}_gains_spent"] = Figure(float(counts["gains"].mean()), n=len(right))
    figures[f"{name}_gains_worth"] = uniform_worth(curve, values[f"{name}_gains"], clusters, options)
    return figures


def uniform_worth(curve: Array, value: Array, clusters: Ints, options: Options) -> Figure:
    """Samples a question that uniform allocation needs for the same pass, between two of its budgets by a line."""
    both = np.column_stack([curve, value])

    def statistic(rows: Ints) -> float:
        # As a product with how often each question was drawn: the rows' copies would take ten times as long.
        mean = np.bincount(rows, minlength=len(both)) @ both / len(rows)
        return float(np.interp(mean[-1], mean[:-1], np.arange(len(mean) - 1)))

    return Figure(*paired_bootstrap(statistic, len(both), clusters=clusters, draws=draws(options), seed=SEED))


def _right(path: Path, strategy: str) -> tuple[Ints, int]:
    """Right samples of each puzzle, in order, and how many were drawn."""
    with gzip.open(path, "rt") as stream:
        rows = [row for row in map(json.loads, stream) if row["strategy"] == strategy]
    rows.sort(key=lambda row: row["query_id"])
    expected = [f"game24-{GAME_FIRST + place}" for place in range(len(rows))]
    drawn = {len(row["correct"]) for row in rows}
    if [row["query_id"] for row in rows] != expected or len(drawn) != 1:
        raise DataError(f"{path}: {strategy!r} must have puzzles from game24-{GAME_FIRST} on, all with as many samples")
    return np.array([sum(row["correct"]) for row in rows], dtype=np.int64), drawn.pop()


def _solved_by_people(path: Path) -> Array:
    """Logit of the share of people who solved each puzzle that was asked, (100,)."""
    solved = pl.read_csv(path)["Solved rate"].str.strip_suffix("%").str.strip_chars().cast(pl.Float64) / 100
    p = np.clip(solved.to_numpy()[GAME_FIRST : GAME_FIRST + 100], 0.005, 0.995)
    return np.log(p / (1 - p))
