"""The main picture: accuracy against cost."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forethought.artifacts import atomic_write
from forethought.errors import ConfigError
from forethought.evaluation.report.drawing import (
    DASHES,
    SERIES,
    WIDE,
    canvas,
    legend_below,
    light,
    save,
)
from forethought.evaluation.report.numbers import per_thousand
from forethought.evaluation.report.source import (
    ROUTER,
    Evaluated,
    best_single,
    cheapest,
    dearest,
    reads_activations,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "Up is more right answers, left is cheaper. A router earns its keep where its line lies above the dotted grey "
    "one, which tossing a coin between single targets buys. "
    "Lines that read activations include the encoder's own prefill."
)
LOG_FROM = 15.0
LABEL_SHARE = 0.35


def save_frontier(evaluation: Evaluated, path: Path | str) -> None:
    """Save the cost-accuracy picture on light paper.

    Args:
        evaluation: `Evaluation.json()`.
        path: Ends in .svg or .png.

    Raises:
        ConfigError: Another ending, or matplotlib is not installed.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in ("svg", "png"):
        raise ConfigError(f"the picture is saved as .svg or .png, got {path}")
    buffer = io.BytesIO()
    save(draw_frontier(evaluation, WIDE), buffer, kind)
    with atomic_write(Path(path)) as temporary:
        temporary.write_bytes(buffer.getvalue())


def draw_frontier(evaluation: Evaluated, width: float) -> Figure:
    """Curves, hull, oracle, single targets and the certified setting; USD per 1,000 questions."""
    wide = width > 5
    figure, axes = canvas(width, 4.4 if wide else 4.6)
    ax: Axes = axes[0, 0]
    found = evaluation["frontier"]
    for curve, role, dash in zip(found["curves"], SERIES, DASHES, strict=False):
        ours = curve["name"] == ROUTER
        style = {
            "color": light(role),
            "linestyle": dash,
            "linewidth": 2.4 if ours else 1.5,
            "zorder": 3 if ours else 2.5,
        }
        _line(ax, curve["points"], _encoder(evaluation, curve["name"]), label=curve["name"], **style)
    _line(ax, found["oracle"]["points"], 0.0, label="oracle", color=light("muted"), linewidth=1.0)
    _hull(ax, found["hull"])
    _scale(ax, found)
    _certified(ax, found)
    _landmarks(ax, evaluation, small=not wide)
    ax.set_ylabel("questions answered right, %")
    ax.set_xlabel("USD per 1,000 questions")
    legend_below(figure, 4 if wide else 2)
    return figure


def _encoder(evaluation: Evaluated, name: str) -> float:
    return float(evaluation["frontier"]["encoder_cost"]) if reads_activations(evaluation, name) else 0.0


def _line(ax: Axes, points: Sequence[Any], extra: float, **style: Any) -> None:
    costs, accuracies = (np.array([point[key] for point in points]) for key in ("cost", "accuracy"))
    ax.plot(1000 * (costs + extra), 100 * accuracies, **style)


def _hull(ax: Axes, corners: Sequence[Any]) -> None:
    """Mixtures are straight in cost, so bent on a logarithmic axis: drawn point by point."""
    cost, accuracy = (np.array([corner[key] for corner in corners]) for key in ("cost", "accuracy"))
    grid = np.linspace(cost[0], cost[-1], 60)
    style: Any = {"color": light("muted"), "linestyle": (0, (2, 2)), "linewidth": 1.2}
    ax.plot(1000 * grid, 100 * np.interp(grid, cost, accuracy), label="static mixtures", **style)


def _scale(ax: Axes, found: Any) -> None:
    """A logarithmic axis where targets' costs lie far apart."""
    from matplotlib.ticker import LogLocator

    costs = [1000 * float(point["cost"]) for point in found["targets"].values() if point["cost"] > 0]
    if costs and max(costs) / min(costs) > LOG_FROM:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(lambda value, _: per_thousand(value / 1000))
    ax.xaxis.set_minor_formatter(lambda value, _: "")
    ax.margins(x=0.06, y=0.06)


def _certified(ax: Axes, found: Any) -> None:
    point = found["certified"]
    ax.plot(
        [1000 * (point["cost"] + found["encoder_cost"])], [100 * point["accuracy"]], linestyle="none", marker="*",
        markersize=15, color=light("blue"), markeredgecolor=light("paper"), markeredgewidth=1.2, zorder=5,
        label="certified setting",
    )  # fmt: skip


def _landmarks(ax: Axes, evaluation: Evaluated, *, small: bool) -> None:
    """Single targets and references, each labelled at its place; labels move apart, a thin line ties them."""
    marks = [(name, point, "s") for name, point in _named_targets(evaluation).items()]
    references = evaluation["references"]
    marks += [
        (label, references[key], marker)
        for key, label, marker in (("random", "random", "X"), ("per_group_best", "best per family", "D"))
        if references.get(key)
    ]
    for (label, point, marker), place in zip(marks, _places(ax, marks), strict=True):
        x, y = 1000 * float(point["cost"]), 100 * float(point["accuracy"])
        ax.plot([x], [y], linestyle="none", marker=marker, color=light("ink"), markersize=5, zorder=4)
        side = -1 if _share(ax, x) > 0.6 else 1
        ax.annotate(
            label, (x, y), xytext=(side * 8, _offset(ax, place - y)), textcoords="offset points", va="center",
            ha="left" if side > 0 else "right", fontsize=7.5 if small else 8, color=light("ink"), zorder=6,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": light("paper"), "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip


def _places(ax: Axes, marks: Sequence[tuple[str, Any, str]]) -> list[float]:
    """Heights of the labels, from the top down: a label that would touch a placed one moves lower."""
    low, high = ax.get_ylim()
    gap, placed = (high - low) * 0.058, dict[int, tuple[float, float]]()
    for index in sorted(range(len(marks)), key=lambda i: -float(marks[i][1]["accuracy"])):
        share, height = (
            _share(ax, 1000 * float(marks[index][1]["cost"])),
            100 * float(marks[index][1]["accuracy"]) - gap * 0.3,
        )
        while any(abs(share - s) < LABEL_SHARE and abs(height - h) < gap for s, h in placed.values()):
            height -= gap / 4
        placed[index] = (share, height)
    return [placed[index][1] for index in range(len(marks))]


def _named_targets(evaluation: Evaluated) -> dict[str, Any]:
    roles = {best_single(evaluation): ["best single"]}
    roles.setdefault(cheapest(evaluation), []).append("cheapest")
    roles.setdefault(dearest(evaluation), []).append("dearest")
    targets = evaluation["frontier"]["targets"]
    return {f"{name} ({', '.join(roles[name])})" if name in roles else name: point for name, point in targets.items()}


def _share(ax: Axes, x: float) -> float:
    """How far along the axis a cost lies, 0 to 1."""
    left, right = ax.get_xlim()
    if ax.get_xscale() == "log":
        x, left, right = (float(np.log(max(value, 1e-12))) for value in (x, left, right))
    return (x - left) / (right - left)


def _offset(ax: Axes, difference: float) -> float:
    """A difference in accuracy as points of height."""
    low, high = ax.get_ylim()
    figure = ax.figure
    return difference / (high - low) * float(figure.get_figheight()) * 72 * 0.72  # type: ignore[union-attr]
