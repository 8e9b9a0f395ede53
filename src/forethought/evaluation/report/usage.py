"""Where each target was chosen, and how well it did there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forethought.evaluation.report.drawing import canvas, legend_below, light
from forethought.evaluation.report.numbers import wilson
from forethought.evaluation.report.source import Evaluated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "Left: share of questions sent to each target. Right: its accuracy on all questions (ring) and on those it was "
    "chosen for (dot, 95% Wilson interval). A dot right of its ring: the target is asked where it is good."
)


def draw_usage(evaluation: Evaluated, width: float) -> Figure:
    """Share chosen, and accuracy when chosen against overall."""
    rows = usage_rows(evaluation)[::-1]
    wide = width > 5
    height = 0.42 * len(rows) + 1.1
    shape = (1, 2) if wide else (2, 1)
    figure, axes = canvas(width, height if wide else 2 * height - 0.4, *shape, sharey=True)
    left, right = axes.flat
    places = range(len(rows))
    left.barh(places, [100 * row["share"]["value"] for row in rows], height=0.5, color=light("blue"))
    left.set_yticks(list(places), [row["target"] for row in rows])
    left.set_xlabel("share of questions, %")
    for place, row in zip(places, rows, strict=True):
        _dumbbell(right, place, row)
    right.set_xlabel("accuracy, %")
    right.set_ylim(-0.6, len(rows) - 0.4)
    for ax in (left, right):
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", visible=True)
        ax.tick_params(axis="y", length=0, labelcolor=light("ink"))
    legend_below(figure, 2)
    return figure


def usage_rows(evaluation: Evaluated) -> list[dict[str, Any]]:
    """Share, accuracy when chosen and accuracy overall, each with a Wilson interval and its n."""
    n = evaluation["about"]["n_report"]
    return [
        {
            "target": row["target"],
            "share": wilson(row["share"], n),
            "accuracy": wilson(row["accuracy"], round(row["share"] * n)),
            "overall": wilson(row["overall"], n),
        }
        for row in evaluation["usage"]
    ]


def _dumbbell(ax: Axes, place: int, row: Any) -> None:
    overall, chosen = 100 * row["overall"]["value"], row["accuracy"]
    ax.plot(
        [overall], [place], linestyle="none", marker="o", markersize=7, fillstyle="none", color=light("muted"),
        label="on all questions",
    )  # fmt: skip
    if chosen["value"] is None:
        return
    ax.plot([100 * chosen["low"], 100 * chosen["high"]], [place, place], color=light("blue"), linewidth=1.2, alpha=0.6)
    ax.plot(
        [100 * chosen["value"]],
        [place],
        linestyle="none",
        marker="o",
        markersize=6,
        color=light("blue"),
        label="when chosen",
    )
