"""Where voting pays, on recorded correctness: the votes are those that were recorded, none is made up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from forethought.bench import Figure, Options
from forethought.errors import DataError
from forethought.metrics import paired_bootstrap
from forethought.outcomes import components, folds, read_math

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDER = "llms_know_difficulty"
OUTCOMES, SCORES = "math_test_outcomes.parquet", "math_test_probe_scores.parquet"
MODELS = {"math_1.5b": "Qwen2.5-Math-1.5B-Instruct", "math_7b": "Qwen2.5-Math-7B-Instruct"}
"""The two models of the table that were asked both greedily and by a vote of eight."""

GREEDY, VOTE = "greedy", "maj@8@T0.7"
SHARES = {"vote25": 0.25, "vote50": 0.5}
PENALTIES = np.logspace(0, 5, 11)
DECILES = 10
FOLDS = 5
SEED = 0
EDGE = 1e-3
"""Probe scores are kept this far from 0 and 1, where ridge probes overshoot."""


@dataclass(frozen=True)
class Recorded:
    """The MATH test table.

    Attributes:
        outcomes: n rows, one column a model and way of asking.
        scores: The same columns, by each column's own probe, trained on MATH's training questions.
        clusters: Components of equal text, (n,).
        fold: Fold of each question, (n,).
    """

    outcomes: pl.DataFrame
    scores: pl.DataFrame
    clusters: Ints
    fold: Ints

    def outcome(self, column: str) -> Array:
        return _column(self.outcomes, column)

    def score(self, column: str) -> Array:
        """P of the column's probe, (n,)."""
        return np.clip(_column(self.scores, column), EDGE, 1 - EDGE)


def read_recorded(options: Options) -> Recorded:
    """Read the table from the data folder.

    Raises:
        ConfigError: No data folder, or it lacks the table's.
        DataError: Outcomes and scores are not of the same questions.
    """
    folder = options.recorded(FOLDER)
    questions = read_math(folder).questions
    outcomes, scores = (_sorted(folder / name) for name in (OUTCOMES, SCORES))
    if not len(questions) == len(outcomes) == len(scores):
        raise DataError(f"{folder}: {len(questions)} questions, {len(outcomes)} outcomes and {len(scores)} scores")
    return Recorded(outcomes, scores, components(questions), folds(questions, FOLDS, SEED))


def where_voting_pays(options: Options) -> dict[str, Figure]:
    """Greedy and voted accuracy by decile of the probe, and what some votes win by whom they are given to.

    Votes go to a share of each fold's questions: where the predicted margin of voting is largest, where the probe
    expects success least, or evenly (which is computed, not drawn). Predictors never saw the fold.
    """
    table = read_recorded(options)
    figures: dict[str, Figure] = {}
    for name, model in MODELS.items():
        single, voted = table.outcome(f"{model}|{GREEDY}"), table.outcome(f"{model}|{VOTE}")
        score = table.score(f"{model}|{GREEDY}")
        figures |= _by_decile(name, table, single, voted, score, options)
        figures |= _by_choice(name, table, single, voted, predictors(table, model), options)
    return figures


def predictors(table: Recorded, model: str) -> dict[str, Array]:
    """What votes are given by, larger first; fixed before the outcomes were looked at.

    `margin` is the one that counts; `margin_score` reads the model's own probe alone, in bins; `margin_probes` fits
    nothing here, being the probe of the vote minus that of the greedy answer.
    """
    gain = table.outcome(f"{model}|{VOTE}") - table.outcome(f"{model}|{GREEDY}")
    score = table.score(f"{model}|{GREEDY}")
    logits = np.column_stack([_logit(table.score(name)) for name in table.scores.columns if name != "idx"])
    return {
        "margin": cross_fitted_ridge(logits, gain, table.fold),
        "margin_score": cross_fitted_bins(score, gain[:, np.newaxis], table.fold, DECILES)[:, 0],
        "margin_probes": table.score(f"{model}|{VOTE}") - score,
        "difficulty": -score,
    }


def cross_fitted_ridge(X: Array, y: Array, fold: Ints) -> Array:
    """Ridge on features and their squares, (n,): a margin is largest in the middle. Penalties by leave-one-out."""
    predicted = np.empty(len(y))
    squares = FunctionTransformer(lambda Z: np.hstack([Z, Z**2]))
    for held in np.unique(fold):
        model = make_pipeline(StandardScaler(), squares, StandardScaler(), RidgeCV(PENALTIES))
        predicted[fold == held] = model.fit(X[fold != held], y[fold != held]).predict(X[fold == held])
    return predicted


def cross_fitted_bins(score: Array, values: Array, fold: Ints, bins: int) -> Array:
    """Mean of the values, (n, k), over the other folds' questions in the score's quantile bin."""
    predicted = np.empty_like(values)
    for held in np.unique(fold):
        train, test = fold != held, fold == held
        edges = np.quantile(score[train], np.arange(1, bins) / bins)
        own, other = np.searchsorted(edges, score[train]), np.searchsorted(edges, score[test])
        mean = np.stack(
            [values[train][own == b].mean(axis=0) if (own == b).any() else 0 * values[0] for b in range(bins)]
        )
        predicted[test] = mean[other]
    return predicted


def taken(worth: Array, fold: Ints, share: float) -> NDArray[np.bool_]:
    """The share of each fold's questions of highest worth, (n,)."""
    chosen = np.zeros(len(worth), dtype=np.bool_)
    for held in np.unique(fold):
        rows = np.flatnonzero(fold == held)
        chosen[rows[np.argsort(-worth[rows], kind="stable")[: round(share * len(rows))]]] = True
    return chosen


def figures_of(
    values: Mapping[str, Array], clusters: Ints, options: Options, pairs: Mapping[str, tuple[str, str]] | None = None
) -> dict[str, Figure]:
    """Means of per-question values and differences of two of them, from the same resampled questions."""
    names, pairs = list(values), pairs or {}
    table = np.column_stack(list(values.values()))
    sides = np.array([[names.index(side) for side in pair] for pair in pairs.values()], dtype=np.int64).reshape(-1, 2)

    def statistic(rows: Ints) -> Array:
        means = table[rows].mean(axis=0)
        return np.concatenate([means, means[sides[:, 0]] - means[sides[:, 1]]])

    found = paired_bootstrap(statistic, len(table), clusters=clusters, draws=draws(options), seed=SEED)
    return {name: Figure(*interval) for name, interval in zip([*names, *pairs], found, strict=True)}


def draws(options: Options) -> int:
    return 200 if options.quick else 1000


def _by_decile(
    name: str, table: Recorded, single: Array, voted: Array, score: Array, options: Options
) -> dict[str, Figure]:
    """Decile 1 is where the probe expects success least."""
    place = np.argsort(np.argsort(score, kind="stable"), kind="stable")
    decile = place * DECILES // len(score)
    figures: dict[str, Figure] = {}
    for label, rows in [
        ("all", np.arange(len(score))),
        *((f"d{d + 1}", np.flatnonzero(decile == d)) for d in range(DECILES)),
    ]:
        greedy, maj, gain = (f"{name}_{kind}_{label}" for kind in ("greedy", "maj8", "gain"))
        values = {greedy: single[rows], maj: voted[rows]}
        figures |= figures_of(values, table.clusters[rows], options, {gain: (maj, greedy)})
    return figures


def _by_choice(
    name: str, table: Recorded, single: Array, voted: Array, worths: Mapping[str, Array], options: Options
) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for label, share in SHARES.items():
        head = f"{name}_{label}"
        values = {
            f"{head}_{by}": np.where(taken(worth, table.fold, share), voted, single) for by, worth in worths.items()
        }
        values[f"{head}_uniform"] = single + share * (voted - single)
        values[f"{head}_hindsight"] = np.where(taken(voted - single, table.fold, share), voted, single)
        pairs = {f"{head}_{by}_over_uniform": (f"{head}_{by}", f"{head}_uniform") for by in worths}
        pairs |= {
            f"{head}_{by}_over_difficulty": (f"{head}_{by}", f"{head}_difficulty")
            for by in worths
            if by != "difficulty"
        }
        figures |= figures_of(values, table.clusters, options, pairs)
        key = f"{head}_margin_over_difficulty"
        figures[key] = figures[key].surely_above(0)
    return figures


def _sorted(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path).sort("idx")


def _column(frame: pl.DataFrame, name: str) -> Array:
    if name not in frame.columns:
        raise DataError(f"the recorded table has no column {name!r}; it has {frame.columns}")
    return frame[name].to_numpy().astype(np.float64)


def _logit(p: Array) -> Array:
    return np.log(p / (1 - p))
