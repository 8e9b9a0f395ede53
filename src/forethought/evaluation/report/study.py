"""The study's tables as Markdown, for the repository's own pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from forethought.evaluation.report.numbers import decimal, ranged
from forethought.evaluation.report.sentences import verdict
from forethought.evaluation.report.source import Evaluated
from forethought.evaluation.report.tables import Summary, summary_tables, to_markdown

INTRODUCTION = """# The study

`make study` (`forethought study`), {command}: the whole committed table, every layer of the encoder, readouts `last`
and `mean`. Every number with its interval is in [evaluation.json](evaluation.json); the page is rebuilt by
`forethought report docs/study/evaluation.json --out report.html`. Refitted on another machine, figures may move in
the third digit.

![accuracy against cost](frontier.png)
"""


def study_markdown(found: Evaluated) -> str:
    """Write what `forethought study` found: the verdict, and one table a question.

    Args:
        found: An evaluation with the study's parts `held_out`, `strategies`, `seeds` and `command`.
    """
    run = found["command"]
    parts = [
        INTRODUCTION.format(command=f"seed {run['seed']}, {run['draws']:,} bootstrap draws"),
        *(f"{sentence}\n" for sentence in verdict(found) if sentence),
        *(to_markdown(table) for table in summary_tables(found)),
        *(to_markdown(table) for table in _study_tables(found)),
        f"Spearman correlation of J and CV-AUC over layers, by target: {_rank_correlations(found['layers'])}.\n",
    ]
    return "\n".join(parts)


def _study_tables(found: Evaluated) -> Iterable[Summary]:
    if found["encoders"]:
        yield _encoders(found)
    yield _strategies(found["strategies"])
    yield _held_out(found["held_out"])
    yield _seeds(found["seeds"])


def _encoders(found: Evaluated) -> Summary:
    targets = found["about"]["targets"]
    rows = [
        [
            " + ".join(row["encoders"]),
            ", ".join(map(str, row["layers"])),
            *(decimal(row["auroc"][t]["value"]) + (" (own)" if t in row["own"] else "") for t in targets),
            ranged(row["mean_auroc"], decimal),
            ranged(row["gap"], decimal),
        ]
        for row in found["encoders"]
    ]
    title = f"Encoders against targets (default head, readout `{found['encoders'][0]['readout']}`, AUROC)"
    return Summary(title, ["encoder", "layer", *targets, "mean", "gap captured"], rows)


def _strategies(rows: Sequence[Mapping[str, Any]]) -> Summary:
    cells = [
        [
            f"`{row['strategy']}`",
            str(row["layers"][0]) if len(row["layers"]) == 1 else f"all {len(row['layers'])} ({row['fusion']})",
            decimal(row["cv_auc"]),
            ranged(row["auroc"], decimal),
        ]
        for row in rows
    ]
    title = f"Layer choice (readout `{rows[0]['readout']}`; separate logistic heads on the report part)"
    return Summary(title, ["strategy", "layer", "CV-AUC", "AUROC"], cells)


def _held_out(found: Mapping[str, Any]) -> Summary:
    cells = [
        [
            card["name"],
            *(ranged(card[key], decimal) for key in ("auroc", "within", "accuracy", "gap")),
            decimal(card["ece"]),
        ]
        for card in found["cards"]
    ]
    families = ", ".join(found["families"])
    title = f"Families held out: {families} (n_train={found['n_train']}, n={found['n_report']}, families drawn whole)"
    return Summary(title, ["contender", "AUROC", "within family", "accuracy", "gap captured", "debiased ECE"], cells)


def _seeds(rows: Sequence[Mapping[str, Any]]) -> Summary:
    names = list(dict.fromkeys(row["name"] for row in rows))
    cells = [
        [name, *(_spread([row[key] for row in rows if row["name"] == name]) for key in ("auroc", "accuracy", "gap"))]
        for name in names
    ]
    title = f"Other splits ({len(rows) // len(names)} seeds: mean, least to largest; splits overlap, so no interval)"
    return Summary(title, ["contender", "AUROC", "accuracy", "gap captured"], cells)


def _spread(values: Sequence[float]) -> str:
    return f"{fmean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _rank_correlations(layers: Mapping[str, Any]) -> str:
    return "; ".join(
        f"`{readout}` {', '.join(decimal(value) for value in choice['rank_correlation'])}"
        for readout, choice in layers.items()
    )
