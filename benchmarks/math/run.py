"""Who tells best which of seven models solves a MATH question: activations, text, length, level."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np
from contenders import CONTENDERS, TEXT, Split, chosen_layers
from label_efficiency import recalibrated
from table import Array, Table, read_table

from forethought.bench import Figure, Options, script
from forethought.cli.console import progress
from forethought.metrics import Interval, mean_auroc, paired_bootstrap
from forethought.outcomes import folds

SEED = 0
FOLDS = 5
INNER = 4
LABELS = (100, 250, 1000)
QUICK = 400


def measure(options: Options) -> dict[str, Figure]:
    folder = options.recorded("llms_know_difficulty")
    table = read_table(folder, options.cache, QUICK if options.quick else None)
    splits = cross_fit(table)
    success = predict(table, splits)
    singles = best_singles(table, splits)
    draws = 200 if options.quick else 1000
    routed = {name: hits(table, P) for name, P in success.items()}
    few = {n: recalibrated(table, splits, n, seed=SEED) for n in LABELS if n <= len(splits[0].train)}
    routed |= {f"own_probes_{n}": values for n, values in few.items()}
    return {
        **auroc_figures(table, success, draws),
        **gap_figures(table, routed, singles, draws),
    }


def cross_fit(table: Table) -> list[Split]:
    """Folds of whole components; layers are chosen inside each fold's training rows."""
    number = folds(table.questions, FOLDS, SEED)
    splits = []
    for fold in range(FOLDS):
        train, test = np.flatnonzero(number != fold), np.flatnonzero(number == fold)
        inner = folds([table.questions[row] for row in train], INNER, SEED)
        splits.append(Split(train, inner, test, chosen_layers(table, train, inner)))
    return splits


def predict(table: Table, splits: Sequence[Split]) -> dict[str, Array]:
    """P(success) of every question by models that never saw it, (n, K) a contender."""
    success = {name: np.empty_like(table.success) for name in CONTENDERS}
    with progress("fit") as report:
        for i, split in enumerate(splits):
            for j, (name, contender) in enumerate(CONTENDERS.items()):
                report(i * len(CONTENDERS) + j, len(splits) * len(CONTENDERS), name)
                success[name][split.test] = contender(table, split)
    return success


def best_singles(table: Table, splits: Sequence[Split]) -> Array:
    """Success of the target that is best on each fold's training rows, (n,)."""
    single = np.empty(len(table.success))
    for split in splits:
        single[split.test] = table.success[split.test, table.success[split.train].mean(axis=0).argmax()]
    return single


def hits(table: Table, success: Array) -> Array:
    """Success of the target with the highest prediction, (n,)."""
    return table.success[np.arange(len(success)), success.argmax(axis=1)]


def auroc_figures(table: Table, success: Mapping[str, Array], draws: int) -> dict[str, Figure]:
    """AUROC, mean over targets, of every contender; the probe is to beat TF-IDF, length and level."""

    def statistic(rows: np.ndarray) -> Array:
        return np.array([mean_auroc(table.success[rows], P[rows]) for P in success.values()])

    names = [f"auroc_{name}" for name in success]
    figures = dict(zip(names, map(figure, bootstrap(statistic, table, draws)), strict=True))
    rival = max(("auroc_tfidf", "auroc_length", "auroc_level"), key=lambda name: figures[name].value)
    figures["auroc_probe"] = figures["auroc_probe"].above(figures[rival].value, rival)
    return figures


def gap_figures(table: Table, routed: Mapping[str, Array], single: Array, draws: int) -> dict[str, Figure]:
    """Share of the gap from best single target to oracle; the best text router is chosen in hindsight."""
    oracle = table.success.max(axis=1)
    hit = np.stack(list(routed.values()))
    names = list(routed)
    text = max(TEXT, key=lambda name: routed[name].mean())
    pair = [names.index("probe"), names.index(text)]

    def statistic(rows: np.ndarray) -> Array:
        base, gap = single[rows].mean(), oracle[rows].mean() - single[rows].mean()
        shares = (hit[:, rows].mean(axis=1) - base) / gap
        return np.array([*shares, shares[pair[0]] - shares[pair[1]], base, oracle[rows].mean()])

    *shares, difference, base, ceiling = map(figure, bootstrap(statistic, table, draws))
    by_name = dict(zip(names, shares, strict=True))
    return {
        "gap_captured": by_name["probe"].above(by_name[text].value, f"gap_captured_text ({text})"),
        "gap_captured_text": by_name[text],
        "gap_difference": difference.surely_above(0),
        **{f"gap_{name}": value for name, value in by_name.items() if name != "probe"},
        "accuracy_best_single": base,
        "accuracy_oracle": ceiling,
    }


def bootstrap(statistic: object, table: Table, draws: int) -> list[Interval]:
    """Paired over components: every figure is read from the same drawn questions."""
    return paired_bootstrap(statistic, len(table.success), clusters=table.clusters, draws=draws, seed=SEED)


def figure(interval: Interval) -> Figure:
    return Figure(*interval)


if __name__ == "__main__":
    sys.exit(script("math", measure, seed=SEED))
