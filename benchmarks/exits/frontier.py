"""From the points of every arm and seed to figures and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from forethought.bench import Figure
from forethought.early_exit import headroom_share, static_depth

TOLERATED = 0.005
"""Accuracy that may be lost: half a point."""
TOLERANCES = (TOLERATED, 0.02)
"""Also shown: what two points buy."""
LAYERS = 6

Points = Mapping[str, Mapping[str, float]]
Seed = Mapping[str, Any]
"""Arm -> `validation` and `test` points by rule, and what else the study keeps of it."""


def study_figures(seeds: Sequence[Seed]) -> dict[str, Figure]:
    """Headline figures at half a point, the same at two points, and each arm on test questions; over seeds."""
    headline = tolerance_figures(seeds, TOLERATED)
    losses = [full(seed) - chosen(seed, best_price(seed))["accuracy"] for seed in seeds]
    figures = {
        "headroom_share": headline.pop("headroom_share").at_least(0.5),
        "rl_over_calibrated": headline.pop("rl_over_calibrated").surely_below(1),
        "accuracy_loss_reinforced": over_seeds(losses).at_most(TOLERATED),
        **headline,
        **{f"{name}_2_points": figure for name, figure in tolerance_figures(seeds, TOLERANCES[1]).items()},
        "oracle_depth": over_seeds([seed["calibrated"]["oracle"] for seed in seeds]),
        "static_depth": over_seeds([static(seed, full(seed) - TOLERATED) for seed in seeds]),
        "accuracy_unmodified": over_seeds([full(seed) for seed in seeds]),
        "accuracy_adapted_full": over_seeds([seed["calibrated"]["test"]["full"]["accuracy"] for seed in seeds]),
    }
    return figures


def tolerance_figures(seeds: Sequence[Seed], tolerated: float) -> dict[str, Figure]:
    """Shares of the headroom, stage 2 over stage 1 continued, and every arm, at what may be lost on validation."""
    ours = [chosen(seed, best_price(seed, tolerated), "gate", tolerated) for seed in seeds]
    continued = [chosen(seed, "continued", "gate", tolerated) for seed in seeds]
    figures = {
        "headroom_share": over_seeds([share(seed, best_price(seed, tolerated), "gate", tolerated) for seed in seeds]),
        "rl_over_calibrated": over_seeds(_ratios(ours, continued)),
        "headroom_share_calibrated": over_seeds([share(seed, "calibrated", "gate", tolerated) for seed in seeds]),
        "headroom_share_continued": over_seeds([share(seed, "continued", "gate", tolerated) for seed in seeds]),
        "headroom_share_softmax_gap": over_seeds([share(seed, "calibrated", "gap", tolerated) for seed in seeds]),
    }
    for arm in sorted(set(seeds[0]) - {"base"}):
        points = [chosen(seed, arm, "gate", tolerated) for seed in seeds if arm in seed]
        if arm.startswith("price"):
            figures[f"rl_over_calibrated_{_plain(arm)}"] = over_seeds(_ratios(points, continued))
        for name in ("depth", "accuracy", "macs_saved"):
            figures[f"{name}_{_plain(arm)}"] = over_seeds([point[name] for point in points])
    gaps = [chosen(seed, "calibrated", "gap", tolerated) for seed in seeds]
    for name in ("depth", "accuracy", "macs_saved"):
        figures[f"{name}_softmax_gap"] = over_seeds([point[name] for point in gaps])
    return figures


def _ratios(ours: Sequence[Mapping[str, float]], others: Sequence[Mapping[str, float]]) -> list[float]:
    return [one["depth"] / other["depth"] for one, other in zip(ours, others, strict=True)]


def _plain(arm: str) -> str:
    return arm.replace(" ", "_").replace(".", "_")


def full(seed: Seed, part: str = "test") -> float:
    """Accuracy of the unmodified model."""
    return float(seed["base"][part]["full"]["accuracy"])


def setting(seed: Seed, arm: str, kind: str = "gate", tolerated: float = TOLERATED) -> str:
    """The rule of an arm that is chosen on validation questions."""
    return thriftiest(seed[arm]["validation"], full(seed, "validation"), kind, tolerated)


def thriftiest(points: Points, unmodified: float, kind: str = "gate", tolerated: float = TOLERATED) -> str:
    """The rule with the fewest layers of those that lose no more than is tolerated; `full` where none does."""
    rules = [name for name in points if name.startswith(kind)]
    kept = [name for name in rules if points[name]["accuracy"] >= unmodified - tolerated]
    return min(kept, key=lambda name: points[name]["depth"]) if kept else "full"


def chosen(seed: Seed, arm: str, kind: str = "gate", tolerated: float = TOLERATED) -> Mapping[str, float]:
    """What the chosen rule does on test questions."""
    point: Mapping[str, float] = seed[arm]["test"][setting(seed, arm, kind, tolerated)]
    return point


def best_price(seed: Seed, tolerated: float = TOLERATED) -> str:
    """The price of stage 2 with the fewest layers on validation questions."""
    arms = [arm for arm in seed if arm.startswith("price")]
    return min(arms, key=lambda arm: seed[arm]["validation"][setting(seed, arm, "gate", tolerated)]["depth"])


def static(seed: Seed, accuracy: float) -> float:
    """Layers with which mixtures of the calibrated model's cuts reach an accuracy on test questions; L if none does."""
    points: Points = seed["calibrated"]["test"]
    cuts = [points[name] for name in points if name.startswith("static") or name == "full"]
    reach = min(accuracy, max(point["accuracy"] for point in cuts))
    found = static_depth([point["depth"] for point in cuts], [point["accuracy"] for point in cuts], reach)
    return LAYERS if np.isnan(found) else found


def share(seed: Seed, arm: str, kind: str = "gate", tolerated: float = TOLERATED) -> float:
    """Of the headroom between static cuts at the same accuracy and the first agreeing layer."""
    point = chosen(seed, arm, kind, tolerated)
    return headroom_share(static(seed, point["accuracy"]), point["depth"], seed["calibrated"]["oracle"])


def over_seeds(values: Sequence[float]) -> Figure:
    """Mean and its 95 % t-interval; one seed has none."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Figure(mean, n=1)
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Figure(mean, mean - half, mean + half, len(values))


def draw(seeds: Sequence[Seed], path: Path) -> None:
    """Accuracy against mean layers on validation questions: cuts, softmax gap, and every arm's thresholds, by seed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    arms = ["calibrated", "continued", *(arm for arm in seeds[0] if arm.startswith("price"))]
    colours = {arm: plt.get_cmap("viridis")(i / len(arms)) for i, arm in enumerate(arms)}
    for number, seed in enumerate(seeds):
        named = number == 0  # one entry of the legend for all seeds
        for arm in arms:
            _line(axes, seed[arm]["validation"], "gate", colours[arm], arm if named else None)
        points = seed["calibrated"]["validation"]
        _line(axes, points, "static", "0.6", "static cuts, calibrated" if named else None, "--")
        _line(axes, points, "gap", "tab:red", "softmax gap" if named else None, ":")
        axes.axvline(
            seed["calibrated"]["oracle"], color="0.85", zorder=0, label="first agreeing layer" if named else None
        )
    axes.set(xlabel="layers a generated token, of 6", ylabel="accuracy", ylim=(0.8, 1.003), xlim=(1, 6.05))
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _line(axes: Any, points: Points, kind: str, colour: Any, label: str | None, style: str = "-") -> None:
    shown = sorted((point["depth"], point["accuracy"]) for name, point in points.items() if name.startswith(kind))
    axes.plot(*zip(*shown, strict=True), style, color=colour, label=label, marker=".", lw=1, ms=4)
