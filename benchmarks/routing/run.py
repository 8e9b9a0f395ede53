"""Who routes best on public outcome tables: prefill activations, text, or the field's published recipes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from auxiliary import Auxiliary, repeated_samples
from compare import LEAST_HEADROOM, Comparison, auroc_differences, compare, late_difference, pooled_gap
from contest import Entry, Fitted, run, side_by_side
from convert import instructions
from crossfit import View
from extract import LAYERS, LIMIT, MINILM, read_questions
from features import Features
from field import (
    ANY_TEXT,
    OURS,
    TEXT,
    beside,
    cost_models,
    encoders_of,
    main_candidate,
    our_candidates,
    rivals,
    text_heads,
    text_peers,
)
from labels import learning_curve, recalibration
from latency import PREFILLS, decision_microseconds, prefill_milliseconds
from own import own_table
from report import LabelStudy, Report, write_report
from scores import Standing
from splits import by_group, by_question, global_components, global_folds
from standing import cluster_numbers, stand
from tables import BESIDE, TABLES, Table, read_tables

from forethought.bench import Figure, Options, script
from forethought.errors import ArtifactError, ConfigError
from forethought.metrics import Interval

SEED = 0
PROCESSES = 2
QUICK = 240
VARIANTS = ("in_domain", "groups_held_out")


@dataclass(frozen=True)
class Material:
    """What a run looks at.

    Attributes:
        tables: All of them, drawn.
        headroom: Of the tables that are compared, by name, over their whole source: the draw does not decide which
            tables are pooled. The others stand beside.
        features: Of every question.
        auxiliary: Further labels, by table.
    """

    tables: Sequence[Table]
    headroom: Mapping[str, float]
    features: Features
    auxiliary: Mapping[str, Auxiliary]


def measure(options: Options) -> dict[str, Figure]:
    """Cross-fit everybody, compare, write the report into the cache, and return the figures."""
    material = own_material(options.cache) if options.quick else recorded_material(options)
    views = {view.table.name: view for view in make_views(material, options.variant)}
    predictions = options.cache / "predictions"
    jobs = [partial(run, view, entries(view, name in material.headroom), predictions) for name, view in views.items()]
    fitted = dict(zip(views, side_by_side("cross-fit", jobs, PROCESSES), strict=True))
    clusters, count = cluster_numbers(list(views.values()))
    standings = {name: stand(view, fitted[name], clusters[name], count) for name, view in views.items()}
    pooled = {name: standings[name] for name in material.headroom if name in standings}
    counted = [name for name in pooled if material.headroom[name] >= LEAST_HEADROOM]
    comparisons = compare_all(pooled, counted, material.features)
    study = study_labels(options, [view for name, view in views.items() if name in pooled], fitted)
    times = latencies(views[next(iter(pooled))])
    ranking = auroc_differences(pooled, OURS, TEXT, counted)
    late = late_difference(pooled, OURS, TEXT, counted)
    report = Report(options.variant, standings, tuple(pooled), comparisons, ranking, late, study, latency_words(times))
    write_report(report, options.cache / f"report-{options.variant}")
    ranks = {f"auroc_difference_{slug(name)}": figure(interval) for name, interval in ranking.items()}
    ranks["auroc_difference_mean"] = ranks["auroc_difference_mean"].surely_above(0)
    unseen = {} if late is None else {"pooled_difference_unseen_in_development": figure(late)}
    return {**figures(pooled, comparisons, study), **unseen, **ranks, **times}


def own_material(cache: Path) -> Material:
    """The committed table, a few of its questions, read on the spot by the default encoder."""
    encoder = next(iter(LAYERS))
    whole = own_table()
    table = whole.drawn(QUICK)
    for name in (encoder, MINILM):
        read_questions(name, table.questions, cache / "own" / name)
    features = Features.open(cache / "own", (encoder, MINILM))
    return Material([table], {table.name: whole.headroom}, features, {table.name: Auxiliary.none(table)})


def recorded_material(options: Options) -> Material:
    """The recorded tables, drawn to the limit, with the activations that `extract.py` stored.

    Raises:
        ConfigError: No recorded tables, or questions that were not read yet.
    """
    if options.data is None:
        raise ConfigError(f"this benchmark reads recorded tables: give their folder by --data.\n{instructions()}")
    compared, others = read_tables(TABLES, options.data), read_tables(BESIDE, options.data)
    command = f"python benchmarks/routing/extract.py ENCODER --data {options.data} --cache {options.cache}"
    advice = f"run {command} for each ENCODER of {', '.join((*LAYERS, MINILM))}"
    try:
        features = Features.open(options.cache)
    except ArtifactError as error:
        raise ConfigError(f"{error}; {advice}") from None
    held, drawn = features.held(), [table.drawn(LIMIT) for table in compared]
    if unread := sum(id not in held for table in drawn for id in table.ids):
        raise ConfigError(f"{unread} questions were not read yet; {advice}")
    beside = [table.take([row for row, id in enumerate(table.ids) if id in held]).drawn(LIMIT) for table in others]
    tables = [*drawn, *(table for table in beside if len(table))]
    auxiliary = {table.name: repeated_samples(options.data, table) for table in tables}
    return Material(tables, {table.name: table.headroom for table in compared}, features, auxiliary)


def make_views(material: Material, variant: str) -> list[View]:
    """Every table with its folds; tables with fewer than five groups stand out where groups are held out."""
    tables = material.tables
    component = global_components(tables)
    fold = global_folds(tables, SEED)
    views = []
    for table in tables:
        held_out = variant == "groups_held_out"
        split = by_group(table, component, SEED) if held_out else by_question(table, fold, component)
        if split is not None:
            views.append(View(table, split, material.features, material.auxiliary[table.name]))
    return views


def entries(view: View, compared: bool) -> list[Entry]:
    """Everybody who takes part on one table; beside the compared ones, only those who may be chosen."""
    encoders = encoders_of(view.features)
    repeated = bool((~np.isnan(view.auxiliary.rates)).any())
    ours = our_candidates(encoders, repeated)
    others = beside(view.features) if compared else []
    return [*text_peers(), *text_heads(repeated), *ours, *others, *cost_models(view.table)]


def compare_all(standings: Mapping[str, Standing], counted: Sequence[str], features: Features) -> dict[str, Comparison]:
    """Ours against the best text peer and the best text at all; our head on one encoder against others on the same."""
    found = {name: compare(standings, OURS, name, counted) for name in (TEXT, ANY_TEXT)}
    for rival, ours in rivals(features).items():
        found[rival] = compare(standings, ours, rival, counted)
    return found


def study_labels(options: Options, views: Sequence[View], fitted: Mapping[str, Mapping[str, Fitted]]) -> LabelStudy:
    """In-domain: what fewer labels earn. With groups held out: what recalibrating on a few labels repairs."""
    contender = main_candidate(encoders_of(views[0].features))
    if options.variant == "groups_held_out":
        jobs = [partial(recalibration, view, contender, seed=SEED) for view in views]
        return LabelStudy.of_recalibration(
            [found for found in side_by_side("recalibrate", jobs, PROCESSES) if found is not None]
        )
    jobs = [partial(learning_curve, view, contender, seed=SEED) for view in views]
    whole = {view.table.name: fitted[view.table.name][contender.name].predictions.test for view in views}
    return LabelStudy.of_curves(views, side_by_side("learning curves", jobs, PROCESSES), whole)


def figures(
    standings: Mapping[str, Standing], comparisons: Mapping[str, Comparison], study: LabelStudy
) -> dict[str, Figure]:
    """What the JSON holds."""
    text, _, *others = comparisons.values()
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
    for name in (OURS, TEXT, ANY_TEXT):
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


def latency_words(times: Mapping[str, Figure]) -> str:
    """The same in a sentence."""
    label = "prefill_ms_p50_"
    prefills = [f"{time} ms ({name.removeprefix(label)})" for name, time in times.items() if name.startswith(label)]
    before = "; the prefill before it " + ", ".join(prefills) if prefills else ""
    return (
        f"Scoring stored activations and choosing takes {times['decide_us_p50']} microseconds of one core, median and "
        f"5th to 95th percentile{before}. What the prefill costs beside an answer stands with each table."
    )


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
