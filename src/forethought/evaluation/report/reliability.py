"""Stated probability against observed success, per target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from forethought.evaluation.report.drawing import canvas, legend_below, light
from forethought.evaluation.report.source import Evaluated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "On the diagonal a stated 70% is right 70% of the time. Bars are 95% Wilson intervals of each bin; before: "
    "out-of-fold on the training part, after: calibrated, on the report part. In the corner the "
    "calibration error of both, in excess of a perfectly calibrated model's at the same n."
)


def draw_reliability(evaluation: Evaluated, width: float) -> Figure:
    """One square a target, before and after calibration."""
    rows = evaluation["reliability"]
    columns = min(len(rows), 3 if width > 5 else 2)
    lines = -(-len(rows) // columns)
    figure, axes = canvas(
        width, (width / columns) * lines + 0.3 * lines + 0.5, lines, columns, sharex=True, sharey=True
    )
    for ax, row in zip(axes.flat, rows, strict=False):
        _square(ax, row)
    for ax in axes.flat[len(rows) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("observed, %")
    for ax in axes.flat[max(len(rows) - columns, 0) : len(rows)]:
        ax.set_xlabel("stated, %")
        ax.tick_params(labelbottom=True)
    legend_below(figure, 2)
    return figure


def _square(ax: Axes, row: Any) -> None:
    ax.plot([0, 100], [0, 100], color=light("muted"), linewidth=0.8, linestyle=(0, (2, 2)))
    _curve(ax, row["before"], color=light("orange"), marker="s", label="before calibration", offset=-0.7)
    _curve(ax, row["after"], color=light("blue"), marker="o", label="after", offset=0.7)
    ax.set_title(row["target"])
    ax.set_xlim(-2, 102)
    ax.set_ylim(-2, 102)
    ax.set_xticks([0, 50, 100])
    ax.set_yticks([0, 50, 100])
    ax.set_aspect("equal")
    before, after = (f"{row[key]:.3f}" if row[key] is not None else "n/a" for key in ("ece_before", "ece_after"))
    ax.text(98, 3, f"{before} → {after}", ha="right", va="bottom", fontsize=7.5, color=light("muted"))


def _curve(ax: Axes, curve: Any, *, color: str, marker: str, label: str, offset: float) -> None:
    stated, observed, low, high = (
        100 * np.array(curve[key], dtype=float) for key in ("mean_p", "mean_y", "low", "high")
    )
    errors = np.maximum(np.stack([observed - low, high - observed]), 0)
    ax.errorbar(stated + offset, observed, yerr=errors, fmt="none", ecolor=color, elinewidth=0.9, alpha=0.6)
    ax.plot(stated + offset, observed, color=color, marker=marker, markersize=3.5, linewidth=1.2, label=label)
