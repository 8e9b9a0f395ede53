"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forethought.artifacts import atomic_write
from forethought.evaluation.report import budget, numbers, sentences, tables
from forethought.evaluation.report.contenders import READING as CONTENDERS_READING
from forethought.evaluation.report.contenders import draw_contenders
from forethought.evaluation.report.drawing import COLOURS, Picture, picture
from forethought.evaluation.report.frontier import READING as FRONTIER_READING
from forethought.evaluation.report.frontier import draw_frontier
from forethought.evaluation.report.layers import READING as LAYERS_READING
from forethought.evaluation.report.layers import draw_layers, geometry_rows, layer_rows
from forethought.evaluation.report.reliability import READING as RELIABILITY_READING
from forethought.evaluation.report.reliability import draw_reliability
from forethought.evaluation.report.source import Evaluated, best_single
from forethought.evaluation.report.sweeps import READING as SWEEPS_READING
from forethought.evaluation.report.sweeps import draw_sweeps, recorded_points
from forethought.evaluation.report.usage import READING as USAGE_READING
from forethought.evaluation.report.usage import draw_usage, usage_rows

if TYPE_CHECKING:
    from jinja2 import Template

    from forethought.evaluation.roi import Savings


def write_report(
    evaluation: Evaluated,
    path: Path | str,
    *,
    published: Mapping[str, Any] | None = None,
    savings: Sequence[Savings] = (),
) -> None:
    """Write the page whole or not at all; arguments as in `render_report`."""
    page = render_report(evaluation, published=published, savings=savings)
    with atomic_write(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_report(
    evaluation: Evaluated, *, published: Mapping[str, Any] | None = None, savings: Sequence[Savings] = ()
) -> str:
    """Render the page: inline styles and pictures, no scripts, nothing fetched.

    Args:
        evaluation: `Evaluation.json()`; its optional `diagnostics` are rows of `layer_report`,
            its optional `held_out` is a `HeldOut`, its optional `budget` a `BudgetTable`.
        published: The papers' own figures (`read_published`); by default the evaluation's.
        savings: Projections to show.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    optional = {"encoders": (), "held_out": None, "budget": None, **evaluation}
    evaluation = {**optional, "published": published or evaluation.get("published")}
    return _template().render(
        e=evaluation,
        best_single=best_single(evaluation),
        verdict=[sentence for sentence in sentences.verdict(evaluation) if sentence],
        certificate=sentences.certificate_sentence(evaluation),
        colours=COLOURS,
        pictures=_pictures(evaluation),
        savings=savings,
        usage=usage_rows(evaluation),
        layers=layer_rows(evaluation),
        geometry=geometry_rows(evaluation),
        recorded=recorded_points(evaluation),
        budget=budget,
        numbers=numbers,
        sentences=sentences,
        tables=tables,
    )


def _pictures(evaluation: Evaluated) -> dict[str, Picture]:
    drawn = {
        "frontier": (draw_frontier, "Accuracy against cost of each router and target", FRONTIER_READING),
        "contenders": (draw_contenders, "Gap captured and AUROC of each contender", CONTENDERS_READING),
        "reliability": (draw_reliability, "Stated against observed success of each target", RELIABILITY_READING),
    }
    if evaluation["usage"]:
        drawn["usage"] = (draw_usage, "Share and accuracy of each target where chosen", USAGE_READING)
    if evaluation["layers"]:
        drawn["layers"] = (draw_layers, "AUROC and Fisher J of each layer", LAYERS_READING)
    if (evaluation["published"] or {}).get("runs"):
        drawn["sweeps"] = (draw_sweeps, "Routing runs that the paper recorded", SWEEPS_READING)
    return {name: picture(draw, evaluation, alt, reading) for name, (draw, alt, reading) in drawn.items()}


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("forethought.evaluation.report", "")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.jinja")
