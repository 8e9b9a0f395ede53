"""How many samples a vote needs at equal accuracy: the probe, count-only rules, limits, packages."""

from __future__ import annotations

import sys

import numpy as np
from beside import published_figures
from competing import competing
from crossfit import SEED, Record, chosen_setting, curves, forecast, out_of_fold, probe_curve, read_record
from exact_limit import exact_figures
from figures import Bootstrap, equal_accuracy, forecast_figures, setting_figures
from recorded import where_voting_pays
from repeated import repeated_samples
from rules import Array, Orders

from forethought.bench import Figure, Options, script
from forethought.voting import MajorityVote, replay

ORDERS = 4
DRAWS = 1000
COMPETING = (3, 4, 5, 6)

PAIRS = {
    "default_over_best": ("default", "best"),
    "probe_over_best": ("probe", "best"),
    "wrong_prior_over_best": ("wrong_prior", "best"),
    "shuffled_forecasts_over_best": ("shuffled_forecasts", "best"),
    "broad_prior_over_best": ("broad_prior", "best"),
    "probe_over_default": ("probe", "default"),
    "sv_over_ac": ("sv", "ac"),
    "sv_over_esc": ("sv", "esc"),
    "mv_over_probe": ("mv", "probe"),
}
BY_ACCURACY = ("default_over_best", "probe_over_best", "sv_over_ac", "sv_over_esc")
"""Pairs shown at each accuracy as well."""


def measure(options: Options) -> dict[str, Figure]:
    record = read_record(options)
    draws = 100 if options.quick else DRAWS
    figures = {**exact_figures(), **replay_figures(record, options, draws)}
    for answers in COMPETING:
        figures[f"default_over_best_m{answers}"] = competing(answers, options.quick, draws)
    if options.data is not None:
        figures |= {**where_voting_pays(options), **repeated_samples(options)}
    return figures


def replay_figures(record: Record, options: Options, draws: int) -> dict[str, Figure]:
    """All that comes of the recorded samples."""
    fits = forecast(record, options.cache)
    orders = Orders.of(record.samples, 1 if options.quick else ORDERS)
    found = curves(record, fits, orders)
    bootstrap = Bootstrap(record.clusters, draws)
    labels = np.column_stack([record.samples.success_rates(), record.samples.concentrations()])
    chosen = chosen_setting(found["probe"], found["mv"], fits)
    figures = {
        **ratio_figures(found, bootstrap),
        **setting_figures(chosen, found["mv"], majority_of_all(record, orders.many), bootstrap),
        **forecast_figures(out_of_fold(fits), labels, bootstrap),
    }
    if not options.quick:
        first = Orders.of(record.samples, 1)
        probe = np.concatenate([probe_curve(fits, first), first.majority()[:, [0, -1]]], axis=1)
        figures |= published_figures(record.samples, probe, options.cache, bootstrap)
    return figures


def ratio_figures(found: dict[str, Array], bootstrap: Bootstrap) -> dict[str, Figure]:
    """Samples at equal accuracy of every pair, with the two goals."""
    every = equal_accuracy(found, PAIRS, bootstrap)
    kept = {name: value for name, value in every.items() if name in PAIRS or name.startswith(BY_ACCURACY)}
    kept["default_over_best"] = kept["default_over_best"].at_most(1.05)
    kept["probe_over_best"] = kept["probe_over_best"].surely_below(1)
    return kept


def majority_of_all(record: Record, orders: int) -> Array:
    """Success of the vote of all recorded answers, whose order decides ties only, (n,)."""
    rule = MajorityVote(record.samples.drawn)
    played = [replay(rule, record.samples.shuffled(seed)).success for seed in range(orders)]
    return np.mean(played, axis=0)


if __name__ == "__main__":
    sys.exit(script("voting", measure, seed=SEED))
