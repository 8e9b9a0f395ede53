"""The run's report: one Markdown file and one HTML page of the same tables, sentences and picture."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from choice import routed
from compare import Comparison, Difference
from crossfit import Array, View
from field import OURS, TEXT
from labels import LABELS, SHARES, Recalibration, gains, labels_needed
from scores import Row, Standing

from forethought.artifacts import atomic_write
from forethought.bench import Figure
from forethought.metrics import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

TITLES = {"in_domain": "folds of questions", "groups_held_out": "whole groups held out"}


@dataclass(frozen=True)
class LabelStudy:
    """What labels earn: gains by number of labels in-domain, or recalibration on groups never seen.

    Attributes:
        curves: Table -> labels -> accuracy gained over the best single target.
        recalibrations: One a table.
    """

    curves: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    recalibrations: Sequence[Recalibration] = ()

    @classmethod
    def of_curves(
        cls, views: Sequence[View], curves: Sequence[Mapping[int, Array]], whole: Mapping[str, Array]
    ) -> LabelStudy:
        """From each table's curve and its predictions on all labels."""
        found = {}
        for view, curve in zip(views, curves, strict=True):
            name = view.table.name
            found[name] = gains(view, curve, routed(view.table.success, whole[name]))
        return cls(curves=found)

    @classmethod
    def of_recalibration(cls, found: Sequence[Recalibration]) -> LabelStudy:
        return cls(recalibrations=found)

    def pooled_gains(self) -> dict[int, float]:
        """Sum of gains over tables, by labels; a table with fewer labels than a size stays at what all of its earn."""
        sizes = sorted({n for curve in self.curves.values() for n in curve})
        return {n: sum(_gain_at(curve, n) for curve in self.curves.values()) for n in sizes}

    def figures(self) -> dict[str, Figure]:
        """For the JSON."""
        found: dict[str, Figure] = {}
        if pooled := self.pooled_gains():
            for share in SHARES:
                found[f"labels_for_{share:.0%}_of_the_gain".replace("%", "_percent")] = Figure(
                    labels_needed(pooled, share), n=len(self.curves)
                )
        for way in self.recalibrations[0].error if self.recalibrations else ():
            name = way.split()[0].lower().strip(",")
            error = float(np.mean([each.error[way][250] for each in self.recalibrations]))
            excess = float(np.mean([each.excess[way][250] for each in self.recalibrations]))
            n = len(self.recalibrations) * self.recalibrations[0].draws * 2
            found[f"calibration_error_after_250_labels_{name}"] = Figure(error, n=n).at_most(0.04)
            found[f"excess_brier_after_250_labels_{name}"] = Figure(excess, n=n).at_most(0.005)
        return found


def _gain_at(curve: Mapping[int, float], labels: int) -> float:
    return curve[max(n for n in curve if n <= labels)]


@dataclass(frozen=True)
class Report:
    """Everything a report says.

    Attributes:
        variant: Which split.
        standings: Table -> who achieved what; those in `pooled` count, the others stand beside.
        pooled: Tables of the comparison.
        comparisons: Rival -> comparison, the best text peer first.
        ranking: Table, or `mean` -> AUROC, ours minus the best text peer.
        late: The pooled difference on questions that nobody looked at while our head was developed.
        study: What labels earn.
        latency: What a decision takes, in words.
    """

    variant: str
    standings: Mapping[str, Standing]
    pooled: Sequence[str]
    comparisons: Mapping[str, Comparison]
    ranking: Mapping[str, Interval]
    late: Interval | None
    study: LabelStudy
    latency: str


def write_report(report: Report, stem: Path) -> None:
    """Write `STEM.md`, `STEM.html` and the picture as `STEM.png`."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(stem.with_suffix(".png")) as temporary:
        draw_forest(report).savefig(temporary, format="png", dpi=150, bbox_inches="tight")
    for suffix, text in ((".md", markdown(report)), (".html", page(report))):
        with atomic_write(stem.with_suffix(suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")


Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Head and rows."""


def sections(report: Report) -> list[tuple[str, str, Table | None]]:
    """Title, words and table of each section."""
    text = report.comparisons[TEXT]
    found = [
        (
            f"Ours against the best text peer ({TITLES[report.variant]})",
            f"{pooled_sentence(text)} {late_sentence(report.late)}{ranking_sentence(report.ranking['mean'])}",
            versus(report, text),
        ),
        ("Against other rivals", RIVALS, rivals(report)),
        ("What a decision takes", report.latency, None),
    ]
    for name, standing in report.standings.items():
        beside = "" if name in report.pooled else " (beside, pooled with nothing)"
        found.append((f"{name}{beside}", table_words(standing, text.tables.get(name)), standing_table(standing)))
    if report.study.curves:
        found.append(("Accuracy gained over the best single target, by labels", curve_words(report), curves(report)))
    if report.study.recalibrations:
        words = "Trained on half of the groups, recalibrated on labels of the other half, tested on the rest of it."
        found.append(("Recalibration on groups never seen", words, recalibrations(report)))
    return found


RIVALS = (
    "Ours against the best of all that reads text, our own head on text among it: what is left is the activations', "
    "not the head's. Below it, our head on one encoder's activations against others on the same ones."
)


def pooled_sentence(comparison: Comparison) -> str:
    """Which wins over all tables, and whether the interval excludes zero."""
    interval = comparison.pooled
    sure = interval.low > 0 or interval.high < 0
    says = "excludes" if sure else "includes"
    who = "no winner can be named" if not sure else "ours captures more" if interval.value > 0 else "text captures more"
    count = len(comparison.counted)
    return (
        f"Over {count} table{'s' * (count > 1)} whose source has at least 5 points of headroom, ours minus "
        f"the best text peer is {points(interval)} points of the gap (n={interval.n}); the interval {says} zero: "
        f"{who}. The plain mean of the tables' differences is {points(comparison.mean)}."
    )


def late_sentence(interval: Interval | None) -> str:
    """The same on questions drawn after those that our head's form was settled on."""
    if interval is None:
        return ""
    return f"On the questions that nobody looked at while our head was developed it is {points(interval)}. "


def ranking_sentence(interval: Interval) -> str:
    """Who ranks questions better, whatever that earns."""
    sure = interval.low > 0 or interval.high < 0
    return (
        f"In AUROC, mean over targets and tables, the difference is {interval.value:+.3f} [{interval.low:+.3f}, "
        f"{interval.high:+.3f}], which {'excludes' if sure else 'includes'} zero."
    )


def table_words(standing: Standing, difference: Difference | None) -> str:
    """One plain sentence on a table, and what its costs are."""
    table = standing.view.table
    chosen = {family: ", ".join(sorted(set(names))) for family, names in standing.champions.items()}
    facts = (
        f"{len(table)} questions, {len(table.targets)} targets, {len(set(table.groups))} groups; headroom "
        f"{100 * standing.headroom:.1f} points; costs: {table.cost_note}{prefill_share(standing)}. Chosen on inner "
        f"predictions: ours: {chosen[OURS]}; text: {chosen[TEXT]}."
    )
    if difference is None:
        return facts
    interval = difference.interval
    sure = interval.low > 0 or interval.high < 0
    who = {"better": "Ours wins", "worse": "Text wins", "within noise": "Neither wins"}[difference.verdict]
    return (
        f"**{who}**: the difference of {points(interval)} points of the gap {'excludes' if sure else 'includes'} zero "
        f"(Holm-adjusted p {difference.p:.2g}); this table can tell differences of "
        f"{100 * difference.detectable:.0f} points. {facts}"
    )


def prefill_share(standing: Standing) -> str:
    """What reading the prompt with the encoders costs, against the best single target's answer."""
    if standing.prefill_share is None:
        return ""
    return f"; the encoders' prefill costs {100 * standing.prefill_share:.1f} % of the best single target's answer"


def versus(report: Report, comparison: Comparison) -> Table:
    head = [
        *("table", "n", "headroom", "ours", "best text", "difference", "p (Holm)", "least detectable", "verdict"),
        "AUROC difference",
    ]
    rows = []
    for name, difference in comparison.tables.items():
        standing, rank = report.standings[name], report.ranking[name]
        rows.append(
            (
                name + ("" if name in comparison.counted else " (not pooled)"),
                str(len(standing.view.table)),
                f"{100 * standing.headroom:.1f}",
                points(standing.rows[OURS].gap),
                points(standing.rows[TEXT].gap),
                points(difference.interval),
                f"{difference.p:.2g}",
                f"{100 * difference.detectable:.0f}",
                difference.verdict,
                f"{rank.value:+.3f} [{rank.low:+.3f}, {rank.high:+.3f}]",
            )
        )
    return head, rows


def rivals(report: Report) -> Table:
    head = ("rival", "pooled difference", "mean of tables", "tables better", "tables worse")
    rows = []
    for name, comparison in list(report.comparisons.items())[1:]:
        verdicts = [difference.verdict for difference in comparison.tables.values()]
        better, worse = str(verdicts.count("better")), str(verdicts.count("worse"))
        rows.append((name, points(comparison.pooled), points(comparison.mean), better, worse))
    return head, rows


def standing_table(standing: Standing) -> Table:
    head = [
        *("contender", "reads", "accuracy", "gap captured, %", "AUROC", "pairs in order", "calibration error"),
        *("disagree zone", "P-AUCCC / oracle's", "least cost without a loss: accuracy, cost", "seconds a fit"),
    ]
    rows = [standing_row(name, row) for name, row in sorted(standing.rows.items(), key=lambda i: -i[1].gap.value)]
    return head, rows


def standing_row(name: str, row: Row) -> Sequence[str]:
    thrifty = (
        "" if row.thrifty is None or row.thrifty_cost is None else f"{points(row.thrifty)}, {cost(row.thrifty_cost)}"
    )
    return (
        f"**{name}**" if name in (OURS, TEXT) else name,
        row.kind,
        f"{100 * row.accuracy.value:.1f}",
        points(row.gap),
        f"{row.auroc.value:.3f} [{row.auroc.low:.3f}, {row.auroc.high:.3f}]",
        f"{row.pairs:.3f}",
        "" if row.calibration is None else f"{row.calibration:.3f}",
        f"{row.disagree:.3f}",
        "" if row.area is None else f"{row.area:.3f}",
        thrifty,
        "" if np.isnan(row.seconds) else f"{row.seconds:.1f}",
    )


def curve_words(report: Report) -> str:
    pooled = report.study.pooled_gains()
    needed = ", ".join(f"{share:.0%}: {labels_needed(pooled, share):.0f}" for share in SHARES)
    return f"Labels needed for a share of what all labels gain, over all tables together: {needed}."


def curves(report: Report) -> Table:
    sizes = sorted({n for curve in report.study.curves.values() for n in curve})
    rows = [
        (name, *(f"{100 * curve[n]:+.2f}" if n in curve else "" for n in sizes))
        for name, curve in report.study.curves.items()
    ]
    return ("table", *map(str, sizes)), rows


def recalibrations(report: Report) -> Table:
    head = ["table", "way", "error before"]
    head += [f"error, {n} labels" for n in LABELS] + [f"excess Brier, {n}" for n in LABELS]
    rows = []
    for each in report.study.recalibrations:
        for way, error in each.error.items():
            cells = [f"{error[n]:.3f}" for n in LABELS] + [f"{each.excess[way][n]:+.4f}" for n in LABELS]
            rows.append((each.table, way, f"{each.before:.3f}", *cells))
    return head, rows


def points(interval: Interval) -> str:
    """Hundredths with one decimal and their interval."""
    value, low, high = (100 * number for number in interval[:3])
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def cost(interval: Interval) -> str:
    value, low, high = (100 * (number - 1) for number in interval[:3])
    return f"{value:+.0f} % [{low:+.0f}, {high:+.0f}]"


def markdown(report: Report) -> str:
    parts = [f"# Routing on public outcome tables: {TITLES[report.variant]}"]
    for title, words, table in sections(report):
        parts += [f"## {title}", *([words] if words else []), *([as_markdown(table)] if table and table[1] else [])]
    return "\n\n".join(parts) + "\n"


def as_markdown(table: Table) -> str:
    head, rows = table
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1560px;margin:2rem auto;padding:0 1rem}
body{color:#1b1f25;background:#fefefe}
table{border-collapse:collapse;font-size:13px;display:block;overflow-x:auto}
td,th{padding:.25rem .6rem;border-bottom:1px solid #e3e6eb;text-align:left;white-space:nowrap}
h2{margin-top:2.2rem}svg{max-width:100%;height:auto}
@media(prefers-color-scheme:dark){body{color:#e8eaed;background:#12161b}td,th{border-color:#2c333c}}
"""


def page(report: Report) -> str:
    """One self-contained page: no scripts, nothing fetched."""
    title = f"Routing on public outcome tables: {TITLES[report.variant]}"
    body = [f"<h1>{html.escape(title)}</h1>", forest(report)]
    for heading, words, table in sections(report):
        body += [f"<h2>{html.escape(heading)}</h2>", f"<p>{emphasised(words)}</p>", as_html(table)]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>{''.join(body)}</html>\n"
    )


def as_html(table: Table | None) -> str:
    if table is None or not table[1]:
        return ""
    head, rows = table
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{emphasised(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{lines}</table>"


def emphasised(words: str) -> str:
    """Escaped, with what stands between double asterisks in bold."""
    parts = html.escape(words).split("**")
    return "".join(f"<b>{part}</b>" if i % 2 else part for i, part in enumerate(parts))


def forest(report: Report) -> str:
    """The differences with their intervals, pooled one first, as inline SVG."""
    drawn = draw_forest(report)
    stream = io.StringIO()
    drawn.savefig(stream, format="svg", bbox_inches="tight")
    return stream.getvalue().partition("<svg")[1] + stream.getvalue().partition("<svg")[2]


def draw_forest(report: Report) -> Canvas:
    """A forest plot: difference to the best text peer by table."""
    from matplotlib.figure import Figure as Drawing

    text = report.comparisons[TEXT]
    rows = [("pooled", text.pooled), *((name, each.interval) for name, each in text.tables.items())]
    canvas = Drawing(figsize=(7.6, 0.42 * len(rows) + 1.0))
    axes = canvas.subplots()
    for height, (_, interval) in enumerate(rows):
        colour = "#0a62a8" if height == 0 else "#5f6875"
        axes.plot(
            [100 * interval.low, 100 * interval.high], [height, height], color=colour, lw=2.5 if not height else 1.5
        )
        axes.plot(100 * interval.value, height, "D" if height == 0 else "o", color=colour)
    axes.axvline(0, color="#1b1f25", lw=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("points of the gap captured, ours minus the best text peer")
    axes.spines[["top", "right"]].set_visible(False)
    return canvas
