"""One hand for every picture: sizes, colours that follow the reader's theme, SVG that stands inside a page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from markupsafe import Markup

from forethought.errors import ConfigError
from forethought.evaluation.report.source import Evaluated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw: TypeAlias = "Callable[[Evaluated, float], Figure]"
"""An evaluation and a width in inches to a figure."""

WIDE, NARROW = 7.6, 3.7

COLOURS = {
    "ink": ("#1b1f25", "#e8eaed"),
    "muted": ("#5f6875", "#9aa4b1"),
    "grid": ("#e3e6eb", "#2c333c"),
    "paper": ("#fefefe", "#12161b"),
    "card": ("#f6f7f9", "#1a1f26"),
    "blue": ("#0a62a8", "#61b3f2"),
    "orange": ("#bd5a00", "#f2a65a"),
    "green": ("#08795a", "#4ecba3"),
    "purple": ("#94448a", "#dc9fd0"),
    "yellow": ("#8f7100", "#e6ce5c"),
}
"""Role -> colour on light and on dark paper: after Okabe & Ito's colour-blind-safe set, darkened for contrast."""

SERIES = ("blue", "orange", "green", "purple", "yellow", "muted")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 2)), (0, (8, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Picture:
    """A figure drawn for two widths of page.

    Attributes:
        alt: What it shows, for those who do not see it.
        wide: SVG for a desk.
        narrow: SVG for a phone.
        reading: One line on how to read it.
    """

    alt: str
    wide: Markup
    narrow: Markup
    reading: str


def picture(draw: Draw, evaluation: Evaluated, alt: str, reading: str) -> Picture:
    """Draw a figure for both widths."""
    wide, narrow = (inline_svg(draw, evaluation, width, alt) for width in (WIDE, NARROW))
    return Picture(alt, wide, narrow, reading)


def light(role: str) -> str:
    """A role's colour on light paper; `inline_svg` makes it follow the theme."""
    return COLOURS[role][0]


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure without a backend's global state, and its axes, shape (rows, columns)."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ConfigError("pictures need matplotlib: install forethought[plots]") from error
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05, wspace=0.03))
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    for one in axes.flat:
        one.grid(axis="y", visible=True)
        one.set_axisbelow(True)
    return figure, axes


def legend_below(figure: Figure, columns: int) -> None:
    """A legend under the figure, where it hides nothing."""
    kept: dict[str, Any] = {}
    for one in figure.axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            kept.setdefault(label, handle)
    figure.legend(
        kept.values(), kept.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5,
        handlelength=2.2, columnspacing=1.2, labelcolor=light("ink"),
    )  # fmt: skip


def save(figure: Figure, target: Any, kind: str, *, transparent: bool = False, salt: str = "") -> None:
    """Write a figure without a date, with its text as text; `salt` keeps ids of two pictures apart."""
    from matplotlib import rc_context

    with rc_context({**_STYLE, "svg.hashsalt": f"forethought {salt}"}):
        extra = {"metadata": {"Date": None, "Creator": None}} if kind == "svg" else {"dpi": 200}
        figure.savefig(target, format=kind, transparent=transparent, facecolor=light("paper"), **extra)


def inline_svg(draw: Draw, evaluation: Evaluated, width: float, alt: str) -> Markup:
    """Draw and return an `<svg>` element whose colours are the page's variables."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        figure = draw(evaluation, width)
    buffer = io.StringIO()
    save(figure, buffer, "svg", transparent=True, salt=f"{alt} {width}")
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), text)
    for role, (colour, _) in COLOURS.items():
        text = text.replace(colour, f"var(--{role})")
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'(<svg [^>]*?)height="[^"]*"', r"\1", text, count=1)
    label = str(Markup.escape(alt))
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))  # noqa: S704


_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": COLOURS["ink"][0],
    "axes.edgecolor": COLOURS["muted"][0],
    "axes.labelcolor": COLOURS["muted"][0],
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlecolor": COLOURS["ink"][0],
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": COLOURS["muted"][0],
    "ytick.color": COLOURS["muted"][0],
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": COLOURS["grid"][0],
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
}
