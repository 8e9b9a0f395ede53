"""Samples at equal accuracy, and other figures of curves, with paired intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from rules import CAP, INPUT, OUTPUT, SAMPLES, SUCCESS, Array, Ints

from forethought.bench import Figure
from forethought.metrics import paired_bootstrap, spearman, static_hull

SHARES = (0.5, 0.75, 0.9)
"""Of the way from one answer's accuracy to that of the vote of 16."""


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Draws of whole components, the same for every figure of equal n.

    Attributes:
        clusters: What is drawn together, (n,).
        draws: Resamples.
    """

    clusters: Ints
    draws: int

    def means(self, columns: Array, statistic: Callable[[Array], Array]) -> list[Figure]:
        """A statistic of the columns' means, (n, C) -> (C,) -> (F,)."""
        n = len(columns)

        def drawn(rows: Ints) -> Array:
            # A product with how often each question was drawn: ten times as fast as copying its rows.
            return statistic(np.bincount(rows, minlength=n) @ columns / len(rows))

        return self.rows(drawn)

    def rows(self, statistic: Callable[[Ints], Array]) -> list[Figure]:
        found = paired_bootstrap(statistic, len(self.clusters), clusters=self.clusters, draws=self.draws, seed=0)
        return [Figure(*interval) for interval in found]


def equal_accuracy(
    curves: Mapping[str, Array], pairs: Mapping[str, tuple[str, str]], bootstrap: Bootstrap
) -> dict[str, Figure]:
    """Samples of one method over another's at equal accuracy, of each pair.

    A method is every random mixture of its settings, a single answer and the vote of 16: the hull of these points.
    Accuracies are single + share * (vote of 16 - single). Under the pair's name stands the geometric mean over
    `SHARES`, with `_50` and so on each of them.
    """
    names = list(curves)
    counts = [curves[name].shape[1] for name in names]
    columns = np.concatenate([curves[name][:, :, [SAMPLES, SUCCESS]] for name in names], axis=1)

    def statistic(flat: Array) -> Array:
        parts = np.split(flat.reshape(-1, 2), np.cumsum(counts)[:-1])
        costs = hull_costs(dict(zip(names, parts, strict=True)))
        ratios = np.array([costs[a] / costs[b] for a, b in pairs.values()])
        return np.column_stack([np.exp(np.log(ratios).mean(axis=1)), ratios]).ravel()

    found = bootstrap.means(columns.reshape(len(columns), -1), statistic)
    keys = [f"{pair}{part}" for pair in pairs for part in ("", *(f"_{round(100 * share)}" for share in SHARES))]
    return dict(zip(keys, found, strict=True))


def hull_costs(points: Mapping[str, Array]) -> dict[str, Array]:
    """Samples of each method, points (S, 2), at the accuracies of `SHARES`; `mv` must be there."""
    ends = points["mv"][[0, CAP - 1]]
    single, vote = ends[:, 1]
    costs = {}
    for name, own in points.items():
        samples, success = np.vstack([ends, own]).T
        hull = static_hull(samples, success)
        costs[name] = np.array([hull.cost_at(single + share * (vote - single)) for share in SHARES])
    return costs


def setting_figures(chosen: Array, majority: Array, mv40: Array, bootstrap: Bootstrap) -> dict[str, Figure]:
    """Accuracies, and what the probe's own setting (n, 4) saves against the vote of 16."""
    vote = majority[:, CAP - 1]

    def statistic(mean: Array) -> Array:
        single, forty, own, all16 = mean[0], mean[1], mean[2:6], mean[6:]
        tokens, most = own[[OUTPUT, INPUT]], all16[[OUTPUT, INPUT]]
        change = own[SUCCESS] - all16[SUCCESS]
        saved = 1 - tokens.sum() / most.sum(), 1 - tokens[0] / most[0]
        return np.array([single, all16[SUCCESS], forty, own[SUCCESS], change, own[SAMPLES], *saved])

    columns = np.column_stack([majority[:, 0, SUCCESS], mv40, chosen, vote])
    names = ("accuracy_single", "accuracy_mv16", "accuracy_mv40", "probe_accuracy", "probe_accuracy_change")
    names += ("probe_samples", "probe_token_saving", "probe_output_token_saving")
    return dict(zip(names, bootstrap.means(columns, statistic), strict=True))


def forecast_figures(forecasts: Array, labels: Array, bootstrap: Bootstrap) -> dict[str, Figure]:
    """Rank correlation of what was forecast, (n, 2), with what was recorded."""

    def statistic(rows: Ints) -> Array:
        return np.array([spearman(forecasts[rows, k], labels[rows, k]) for k in range(2)])

    return dict(zip(("spearman_success", "spearman_concentration"), bootstrap.rows(statistic), strict=True))
