"""Everything that could stand in for the router, with intervals, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forethought.evaluation.report.drawing import canvas, light
from forethought.evaluation.report.source import ROUTER, Evaluated, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "Dots are estimates, bars 95% paired bootstrap intervals over whole components of questions. Filled: reads "
    "activations; hollow: does not. AUROC ranks questions; only the gap says whether choices got better."
)


def draw_contenders(evaluation: Evaluated, width: float) -> Figure:
    """Gap captured (left) and AUROC (right) of every contender, the most accurate on top."""
    cards = ranked(evaluation)[::-1]
    wide = width > 5
    height = 0.3 * len(cards) + 0.8
    shape = (1, 2) if wide else (2, 1)
    figure, axes = canvas(width, height if wide else 2 * height, *shape, sharey=True)
    for ax, key, scale, label in zip(
        axes.flat,
        ("gap", "auroc"),
        (100.0, 1.0),
        ("gap to the oracle captured, %", "AUROC, mean of targets"),
        strict=True,
    ):
        for place, card in enumerate(cards):
            _dot(ax, place, card, key, scale)
        ax.axvline(0.0 if key == "gap" else 0.5, color=light("muted"), linewidth=0.8, linestyle=(0, (2, 2)))
        ax.set_xlabel(label)
        ax.set_yticks(range(len(cards)), [card["name"] for card in cards])
        ax.set_ylim(-0.6, len(cards) - 0.4)
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", visible=True)
        ax.tick_params(axis="y", length=0, labelcolor=light("ink"))
    return figure


def _dot(ax: Axes, place: int, card: Any, key: str, scale: float) -> None:
    found = card[key]
    if found is None or found["value"] is None:
        return
    active = card["name"] == ROUTER or card["signal"].startswith("activations")
    color = light("blue") if card["name"] == ROUTER else light("ink") if active else light("muted")
    if found["low"] is not None and found["high"] is not None:
        ax.plot([scale * found["low"], scale * found["high"]], [place, place], color=color, linewidth=1.3, alpha=0.75)
    face = color if active else light("paper")
    ax.plot(
        [scale * found["value"]], [place], linestyle="none", marker="o", markersize=6, color=color,
        markerfacecolor=face, markeredgewidth=1.2,
    )  # fmt: skip
