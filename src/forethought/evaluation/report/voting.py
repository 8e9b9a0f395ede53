"""Stopping rules in words and as one picture: accuracy against samples."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forethought.artifacts import atomic_write
from forethought.errors import ConfigError
from forethought.evaluation.report.drawing import MARKERS, SERIES, WIDE, canvas, legend_below, light, save
from forethought.evaluation.report.numbers import decimal, percent, points, ranged
from forethought.evaluation.voting import Contest, RuleCard, RuleReplays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAMILIES = {
    "majority": "majority vote",
    "sequential": "sequential vote",
    "adaptive_consistency": "Adaptive-Consistency",
    "early_stopping": "ESC",
    "bayes": "bayes",
}
"""Rules that have a mark of their own; every other shares the last one."""

OTHERS = "other rules"
PAPER = "SV 8/3"


def contest_sentence(contest: Contest) -> str:
    """Whether a rule beats a family on this record, by the paired interval of the gain at as many samples."""
    gain, ratio = contest.gain, contest.samples_ratio
    word = "beats" if gain.low > 0 else "loses to" if gain.high < 0 else "does not beat"
    less = [name for name, found in contest.differences.items() if found.high < 0]
    more = [name for name, found in contest.differences.items() if found.low > 0]
    apart = [f"{how} often right than {', '.join(names)}" for how, names in (("more", more), ("less", less)) if names]
    return (
        f"{contest.name} {word} {contest.family} on this record (n={gain.n}): its accuracy less that of the best "
        f"mixture of {len(contest.differences)} settings with as many samples is "
        f"{ranged(gain._asdict(), points)} points, its samples over theirs at equal accuracy "
        f"{ranged(ratio._asdict(), decimal)}; taken one by one, it is surely "
        f"{' and '.join(apart) or 'neither more nor less often right than any of them'}."
    )


def save_rules(cards: Sequence[RuleCard], replays: RuleReplays, path: Path) -> None:
    """Save the picture on light paper.

    Args:
        cards: The rules to mark.
        replays: Where they come from, for the hull of majority votes.
        path: Ends in .svg or .png.

    Raises:
        ConfigError: Another ending, or matplotlib is not installed.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("svg", "png"):
        raise ConfigError(f"the picture is saved as .svg or .png, got {path}")
    buffer = io.BytesIO()
    save(draw_rules(cards, replays), buffer, kind)
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def draw_rules(cards: Sequence[RuleCard], replays: RuleReplays) -> Figure:
    """A mark a rule, joined within a family, and the line of majority votes mixed at random."""
    figure, axes = canvas(WIDE, 4.4)
    ax = axes[0, 0]
    samples, accuracy = replays.majority_curve()
    # Mixtures are straight in samples, so bent on a logarithmic axis.
    grid = np.geomspace(samples[0], samples[-1], 80)
    accuracy = np.interp(grid, samples, accuracy)
    ax.plot(grid, 100 * accuracy, color=light("muted"), linestyle=(0, (2, 2)), label="mixtures of majority votes")
    names = [*FAMILIES, ""]
    for family, role, marker in zip(names, SERIES, MARKERS, strict=True):
        own = [card for card in cards if card.rule == family or (not family and card.rule not in FAMILIES)]
        if not own:
            continue
        own.sort(key=lambda card: card.samples.value)
        ax.plot(
            [card.samples.value for card in own], [100 * card.accuracy.value for card in own], linestyle="none",
            marker=marker, color=light(role), label=FAMILIES.get(family, OTHERS), zorder=3,
        )  # fmt: skip
    for card in cards:
        if card.name == PAPER:
            place = (card.samples.value, 100 * card.accuracy.value)
            ax.annotate(
                card.name, place, xytext=(34, -46), textcoords="offset points", fontsize=8, color=light("ink"),
                arrowprops={"arrowstyle": "-", "color": light("muted"), "linewidth": 0.6},
            )  # fmt: skip
    ax.set_xscale("log")
    ticks = [tick for tick in (1, 2, 3, 5, 10, 20, 40, 80) if tick <= samples[-1] * 1.7]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.xaxis.set_minor_formatter(lambda value, _: "")
    ax.set_xlabel("answers drawn a question")
    ax.set_ylabel("questions answered right, %")
    legend_below(figure, 3)
    return figure


def rule_rows(cards: Sequence[RuleCard]) -> tuple[tuple[str, ...], list[list[str]]]:
    """Header and rows of the table, the cheapest rule first."""
    priced = any(card.usd is not None for card in cards)
    header = ("rule", "right", "samples", "out", "prompt", "cached", "rounds", "agreed", "samples vs MV")
    rows = []
    for card in sorted(cards, key=lambda card: (card.samples.value, card.name)):
        tokens = (card.output_tokens, card.input_tokens, card.prompt_tokens)
        cost = [f"{1e6 * card.usd.value:.2f}" if card.usd is not None else ""] if priced else []
        rows.append(
            [
                card.name,
                ranged(card.accuracy._asdict(), percent),
                f"{card.samples.value:.2f}",
                *(f"{value.value:.1f}" for value in tokens),
                f"{card.rounds.value:.2f}",
                f"{card.consensus.value:.0%}",
                ranged(card.samples_ratio._asdict(), lambda v: f"{v:.2f}"),
                *cost,
            ]
        )
    return (*header, *["USD/1M"] * priced), rows
