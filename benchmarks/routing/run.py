"""Who routes best on public outcome tables: prefill activations, text, or the field's published recipes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from auxiliary import Auxiliary, repeated_samples
from compare import Comparison, compare, pooled_gap
from contest import Entry, Fitted, run, side_by_side
from convert import instructions
from crossfit import View
from extract import LAYERS, LIMIT, MINILM, read_questions
from features import Features
from field import (
    OURS,
    TEXT,
    beside,
    cost_models,
    encoders_of,
    main_candidate,
    our_candidates,
    text_peers,
)
from labels import learning_curve, recalibration
from latency import PREFILLS, decision_microseconds, prefill_milliseconds
from own import own_table
from report import LabelStudy, Report, write_report
from scores import Standing
from splits import by_group, by_question, global_components, global_folds
from standing import cluster_numbers, stand
from tables import BESIDE, TABLES, Table

from forethought.bench import Figure, Options, script
from forethought.errors import ConfigError
from forethought.metrics import Interval

SEED = 0
PROCESSES = 2
QUICK = 240
VARIANTS = ("in_domain", "groups_held_out")


@dataclass(frozen=True)
class Material:
    """What a run looks at: tables that are pooled, tables beside them, features, and further labels by table."""

    tables: Sequence[Table]
    beside: Sequence[Table]
    features: Features
    auxiliary: Mapping[str, Auxiliary]


def measure(options: Options) -> dict[str, Figure]:
    """Cross-fit everybody, compare, write the report into the cache, and return the figures."""
    material = own_material(options.cache) if options.quick else recorded_material(options)
    views = {view.table.name: view for view in make_views(material, options.variant)}
    jobs = [partial(run, view, entries(view), options.cache / "predictions") for view in views.values()]
    fitted = dict(zip(views, side_by_side(jobs, PROCESSES), strict=True))
    clusters, count = cluster_numbers(list(views.values()))
    standings = {name: stand(view, fitted[name], clusters[name], count) for name, view in views.items()}
    pooled = {table.name: standings[table.name] for table in material.tables if table.name in standings}
    comparisons = compare_all(pooled, material.features)
    study = study_labels(options, [view for name, view in views.items() if name in pooled], fitted)
    report = Report(options.variant, standings, tuple(pooled), comparisons, study)
    write_report(report, options.cache / f"report-{options.variant}")
    return {**figures(pooled, comparisons, study), **latencies(views[next(iter(pooled))])}


def own_material(cache: Path) -> Material:
    """The committed table, a few of its questions, read on the spot by the default encoder."""
    encoder = next(iter(LAYERS))
    table = own_table().drawn(QUICK)
    for name in (encoder, MINILM):
        read_questions(name, table.questions, cache / "own" / name)
    features = Features.open(cache / "own", (encoder, MINILM))
    return Material([table], [], features, {table.name: Auxiliary.none(table)})


def recorded_material(options: Options) -> Material:
    """The recorded tables, drawn to the limit, with the activations that `extract.py` stored.

    Raises:
        ConfigError: No recorded tables, or questions that were not read yet.
    """
    try:
        data = options.recorded("outcomes").parent
    except ConfigError as error:
        raise ConfigError(f"{error}\n{instructions()}") from None
    features = Features.open(options.cache)
    tables, others = ([read(data) for read in readers.values()] for readers in (TABLES, BESIDE))
    held = features.held()
    tables = [table.drawn(LIMIT) for table in tables]
    if unread := sum(id not in held for table in tables for id in table.ids):
        raise ConfigError(
            f"{unread} questions were not read yet; run python benchmarks/routing/extract.py ENCODER --data {data} "
            f"--cache {options.cache} for each ENCODER of {', '.join((*LAYERS, MINILM))}"
        )
    others = [table.take([row for row, id in enumerate(table.ids) if id in held]).drawn(LIMIT) for table in others]
    everything = [*tables, *others]
    return Material(tables, others, features, {table.name: repeated_samples(data, table) for table in everything})


def make_views(material: Material, variant: str) -> list[View]:
    """Every table with its folds; tables with fewer than five groups stand out where groups are held out."""
    tables = [*material.tables, *material.beside]
    component = global_components(tables)
    fold = global_folds(tables, SEED)
    views = []
    for table in tables:
        held_out = variant == "groups_held_out"
        split = by_group(table, component, SEED) if held_out else by_question(table, fold, component)
        if split is not None:
            views.append(View(table, split, material.features, material.auxiliary[table.name]))
    return views


def entries(view: View) -> list[Entry]:
    """Everybody who takes part on one table."""
    encoders = encoders_of(view.features)
    ours = our_candidates(encoders, repeated=bool((~np.isnan(view.auxiliary.rates)).any()))
    return [*text_peers(), *ours, *beside(view.features), *cost_models(view.table)]


def compare_all(standings: Mapping[str, Standing], features: Features) -> dict[str, Comparison]:
    """Ours against the best text router, and our head on activations alone against the others on the same ones."""
    alone = main_candidate(encoders_of(features)).name
    rivals = [entry.contender.name for entry in beside(features) if is_rival(entry)]
    found = {TEXT: compare(standings, OURS, TEXT)}
    return {**found, **{name: compare(standings, alone, name) for name in rivals}}


def is_rival(entry: Entry) -> bool:
    """Whether a contender is somebody else's method on the same activations."""
    return entry.contender.kind == "activations" and type(entry.contender).__name__ in ("Nvidia", "Neighbours")


def study_labels(options: Options, views: Sequence[View], fitted: Mapping[str, Mapping[str, Fitted]]) -> LabelStudy:
    """In-domain: what fewer labels earn. With groups held out: what recalibrating on a few labels repairs."""
    contender = main_candidate(encoders_of(views[0].features))
    if options.variant == "groups_held_out":
        jobs = [partial(recalibration, view, contender, seed=SEED) for view in views]
        return LabelStudy.of_recalibration([found for found in side_by_side(jobs, PROCESSES) if found is not None])
    jobs = [partial(learning_curve, view, contender, seed=SEED) for view in views]
    whole = {view.table.name: fitted[view.table.name][contender.name].predictions.test for view in views}
    return LabelStudy.of_curves(views, side_by_side(jobs, PROCESSES), whole)


def figures(
    standings: Mapping[str, Standing], comparisons: Mapping[str, Comparison], study: LabelStudy
) -> dict[str, Figure]:
    """What the JSON holds."""
    text, *others = comparisons.values()
    hardest = min(others, key=lambda comparison: comparison.pooled.value)
    found = {
        "pooled_difference": figure(text.pooled).surely_above(0),
        "pooled_difference_mean_of_tables": figure(text.mean),
        "pooled_difference_activations": figure(hardest.pooled).surely_above(0),
    }
    for name, comparison in list(comparisons.items())[1:]:
        found[f"pooled_difference_to_{slug(name)}"] = figure(comparison.pooled)
    for table, difference in text.tables.items():
        found[f"difference_{slug(table)}"] = figure(difference.interval)
        found[f"p_holm_{slug(table)}"] = Figure(difference.p, n=difference.interval.n)
    better = [difference.verdict for difference in text.tables.values()]
    found["tables_significantly_better"] = Figure(better.count("better"), n=len(better)).at_least(min(3, len(better)))
    found["tables_significantly_worse"] = Figure(better.count("worse"), n=len(better)).at_most(0)
    for name in (OURS, TEXT):
        found[f"pooled_gap_{slug(name)}"] = figure(pooled_gap(standings, text.counted, name))
    return {**found, **study.figures()}


def latencies(view: View) -> dict[str, Figure]:
    """Time of a decision and of the prefill before it, on one table; low and high are the 5th and 95th percentile."""
    encoders = encoders_of(view.features)
    found = {"decide_us_p50": spread(decision_microseconds(view, main_candidate(encoders)))}
    for name in view.features.encoders:
        if (times := prefill_milliseconds(name, view.table.questions[:PREFILLS])) is not None:
            found[f"prefill_ms_p50_{slug(name)}"] = spread(times)
    return found


def spread(times: Sequence[float]) -> Figure:
    low, middle, high = np.quantile(times, [0.05, 0.5, 0.95])
    return Figure(float(middle), float(low), float(high), len(times))


def figure(interval: Interval) -> Figure:
    return Figure(*interval)


def slug(name: str) -> str:
    """A name as a key of the JSON."""
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


if __name__ == "__main__":
    sys.exit(script("routing", measure, seed=SEED, variants=VARIANTS))
