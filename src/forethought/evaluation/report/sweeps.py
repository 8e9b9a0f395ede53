"""The papers' recorded routing runs, drawn as theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forethought.evaluation.report.drawing import canvas, legend_below, light
from forethought.evaluation.report.source import Evaluated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "The paper's own recorded runs, on its own models and prices; none of these points was measured here, and they "
    "come without intervals. Line: its utility router over lambda. Squares: single models."
)
MARKS = {"single": ("s", "single model"), "random": ("X", "random"), "oracle": ("D", "oracle")}


def draw_sweeps(evaluation: Evaluated, width: float) -> Figure:
    """One small picture a run: recorded sweep and points."""
    runs = {name: run for name, run in evaluation["published"]["runs"].items() if _drawn(run)}
    columns = 2 if width > 5 else 1
    lines = -(-len(runs) // columns)
    figure, axes = canvas(width, (2.4 if width > 5 else 2.3) * lines + 0.5, lines, columns)
    for ax, (name, run) in zip(axes.flat, runs.items(), strict=False):
        _run(ax, run)
        ax.set_title(name)
    for ax in axes.flat[len(runs) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy, %")
    for ax in axes.flat[max(len(runs) - columns, 0) : len(runs)]:
        ax.set_xlabel("USD for the whole run, as recorded")
    legend_below(figure, 4 if width > 5 else 2)
    return figure


def recorded_points(evaluation: Evaluated) -> list[dict[str, Any]]:
    """Points of the runs that are too short to draw."""
    runs = (evaluation["published"] or {}).get("runs", {})
    return [{"run": name, **point} for name, run in runs.items() if not _drawn(run) for point in run["points"]]


def _drawn(run: Any) -> bool:
    return len(run["sweep"]) + len(run["points"]) > 1


def _run(ax: Axes, run: Any) -> None:
    if run["sweep"]:
        sweep = sorted((point["cost"], 100 * point["accuracy"]) for point in run["sweep"])
        ax.plot(*zip(*sweep, strict=True), color=light("purple"), linewidth=1.6, label="the paper's router")
    for point in run["points"]:
        marker, label = MARKS.get(point["strategy"].split("_")[0], (".", "other strategies"))
        ax.plot(
            [point["cost"]], [100 * point["accuracy"]], linestyle="none", marker=marker, markersize=4.5,
            color=light("muted"), label=label,
        )  # fmt: skip
    ax.margins(x=0.08, y=0.1)
